"""The embedded default: a world of coloured shapes and a tiny model trained on it.

`DATA_DIR` holds the world as parquet files in the schemas of the hub data sets,
`DATA_DIR/<benchmark>/<split>.parquet`; `MODEL_DIR` is a Hugging Face model folder.
Nothing else is loaded by importing this package.
"""

from pathlib import Path

DATA_DIR = Path(__file__).parent / "data"
MODEL_DIR = Path(__file__).parent / "model"

__all__ = ["DATA_DIR", "MODEL_DIR"]
