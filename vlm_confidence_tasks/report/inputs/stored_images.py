"""Finding a document's stored images in a local folder of parquet files."""

from __future__ import annotations

import io
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from vlm_confidence_tasks import benchmarks
from vlm_confidence_tasks.benchmarks import Benchmark
from vlm_confidence_tasks.sandbox import DATA_DIR

if TYPE_CHECKING:
    import datasets

LOCAL_DATA = "VLM_CONFIDENCE_DATA"
SANDBOX = "sandbox"


def data_folder(source: str | None) -> Path | None:
    """Return the folder that a name or path stands for; None without one.

    `sandbox` is the data that ships with the package; without a source, the variable
    `VLM_CONFIDENCE_DATA` counts, as it does for the tasks themselves.
    """
    source = source or os.environ.get(LOCAL_DATA)
    if not source:
        return None
    return DATA_DIR if source == SANDBOX else Path(source)


def stored_images(folder: Path, benchmark: str, question_id: str) -> Iterator[list[Image.Image]]:
    """Yield the images of every document of this id, of all splits in the folder.

    Raises:
        ValueError: The benchmark is unknown, or has no data in the folder.
    """
    known = benchmarks.get(benchmark)
    root = folder / known.folder
    files = tuple(sorted(root.rglob("*.parquet")))
    if not files:
        raise ValueError(f"no parquet file in {root}")
    for file in files:
        rows, index = _open(file, known.name)
        for row in index.get(question_id, ()):
            cells = [rows[row][name] for name in known.image_columns]
            yield [known.convert(_decoded(cell)) for cell in _flat(cells)]


@lru_cache(maxsize=64)
def _open(file: Path, name: str) -> tuple[datasets.Dataset, Mapping[str, list[int]]]:
    """Open a file and note which rows hold which question."""
    # Takes a second to import, and most leaderboards show no images.
    import datasets

    benchmark = benchmarks.get(name)
    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_parquet(str(file))
    index: dict[str, list[int]] = defaultdict(list)
    if set(benchmark.columns) <= set(rows.column_names):
        columns = rows.remove_columns(list(benchmark.image_columns)).to_dict()
        for row in benchmark.select(columns):
            index[_question_id(benchmark, columns, row)].append(row)
    return rows, index


def _question_id(benchmark: Benchmark, columns: Mapping[str, list[Any]], row: int) -> str:
    document = {name: column[row] for name, column in columns.items()}
    return benchmark.question(document, "", "").question_id


def _flat(cells: list[Any]) -> Iterator[Any]:
    for cell in cells:
        yield from cell if isinstance(cell, list) else () if cell is None else (cell,)


def _decoded(cell: Any) -> Image.Image:
    """Return an image that the library decoded, or decode one that it left as bytes."""
    if isinstance(cell, Image.Image):
        return cell
    return Image.open(io.BytesIO(cell["bytes"]))
