"""The embedded default: synthetic images of coloured shapes and a tiny model trained on them.

`DATA_DIR` holds the data as parquet files in the schemas of the hub data sets,
`DATA_DIR/<benchmark>/<split>.parquet`; `MODEL_DIR` is a Hugging Face model folder.
"""

import os
from pathlib import Path

from vlm_confidence_tasks.benchmarks.base import LOCAL_DATA

__all__ = ["DATA_DIR", "LOCAL_DATA", "MODEL_DIR", "SANDBOX", "data_folder"]

DATA_DIR = Path(__file__).parent / "data"
MODEL_DIR = Path(__file__).parent / "model"

# The value of `LOCAL_DATA` that stands for `DATA_DIR`.
SANDBOX = "sandbox"


def data_folder(source: str | None = None) -> Path | None:
    """Return the folder of local data; None without one.

    It is named by `source` or else the variable `LOCAL_DATA`, where `sandbox` is `DATA_DIR`.
    """
    source = source or os.environ.get(LOCAL_DATA)
    if not source:
        return None
    return DATA_DIR if source == SANDBOX else Path(source)
