"""The only room that knows lmms-eval."""
