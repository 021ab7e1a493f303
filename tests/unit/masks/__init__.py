"""Where the things are that a question names."""
