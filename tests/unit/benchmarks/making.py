"""Documents of the sandbox, and texts that models answer with."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from lmms_eval import tasks
from lmms_eval.utils import load_yaml_config
from PIL import Image

from vlm_confidence_tasks.harness.task_names import FOLDER
from vlm_confidence_tasks.sandbox import DATA_DIR

TEXTS = (
    *("Yes", "yes", "yes.", " YES ", "yEs", "Yes, it is", "Yes!", "no", "No", "No.", "NO ", "nope"),
    *("", " ", "\n", ".", "Yes and no", "There is no dog.", "The answer is yes"),
    *("A", "a", "(A)", "A.", "B)", " B ", "b.", "C: red", "D, I think", "The answer is B", "(a)"),
    *("(A) or (B)", "A or B", "B A", "Not (A) but (C).", "A. red\nB. blue", "E", "Answer: C"),
    *("ABBA", "I am sure it is the blue one here", "'B'", "B,.", "B.,", "!B!", "A B C D"),
    *(
        "red",
        "Red.",
        "The colour is red.",
        "It is blue, so the answer is red",
        "x = 3",
        "3",
        "3.00",
    ),
    *("1,234", "so 1,234.50", "2.5e3 m", "-4", "is -4.0.", "could be 12 or 13", "is"),
)


@cache
def rows(path: str) -> tuple[dict[str, Any], ...]:
    """Rows of a sandbox file, images as stored."""
    return tuple(pq.read_table(DATA_DIR / f"{path}.parquet").to_pylist())


def decoded(row: dict[str, Any]) -> dict[str, Any]:
    """The row as upstream's functions get it: images decoded."""
    return {name: _decode(value) for name, value in row.items()}


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(one) for one in value]
    if isinstance(value, dict) and "bytes" in value:
        return Image.open(BytesIO(value["bytes"]))
    return value


def without_images(row: dict[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    """The row as a benchmark gets it."""
    return {name: value for name, value in row.items() if name not in columns}


def upstream_yaml(path: str) -> dict[str, Any]:
    """An upstream task's YAML, its functions left out."""
    return load_yaml_config(str(Path(tasks.__file__).parent / path), mode="simple")


def template(path: str) -> dict[str, Any]:
    """One of our templates, its class left out."""
    return load_yaml_config(str(FOLDER / path), mode="simple")
