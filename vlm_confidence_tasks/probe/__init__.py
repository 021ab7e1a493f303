"""The only room that knows transformers and torch: a model's generate() -> Readings."""
