"""The model ids that the plugin adds to lmms-eval."""
