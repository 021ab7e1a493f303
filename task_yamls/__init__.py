"""Task files of lmms-eval: a folder a benchmark. Holds no code."""
