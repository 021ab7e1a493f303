"""The data of every figure, and how it is drawn."""
