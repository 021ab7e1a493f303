"""What an attack asks the model."""
