"""Finding a document's stored images in a local folder of parquet files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from vlm_confidence_tasks import benchmarks
from vlm_confidence_tasks.benchmarks import Benchmark
from vlm_confidence_tasks.errors import TaskError

if TYPE_CHECKING:
    from vlm_confidence_tasks.benchmarks.dataset import Documents


def stored_images(folder: Path, benchmark: str, question_id: str) -> Iterator[list[Image.Image]]:
    """Yield the images of every document of this id, of all splits in the folder."""
    known = benchmarks.get(benchmark)
    root = folder / known.folder
    files = sorted(root.rglob("*.parquet"))
    if not files:
        raise ValueError(f"no parquet file in {root}")
    for file in files:
        for documents, index in _open(file, known, root).get(question_id, ()):
            yield documents.images(index)


@lru_cache(maxsize=64)
def _open(file: Path, benchmark: Benchmark, root: Path) -> dict[str, list[tuple[Documents, int]]]:
    """Map each question id in a file to its documents; a benchmark may have none in it."""
    # Takes a second to import, and most leaderboards show no pictures.
    import datasets

    from vlm_confidence_tasks.benchmarks.dataset import Documents

    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_parquet(str(file))
    found: dict[str, list[tuple[Documents, int]]] = defaultdict(list)
    try:
        documents = Documents(rows, benchmark, str(file), root)
    except TaskError:
        # The folder may hold other benchmarks' files; the caller says what was not found.
        return found
    for index, document in enumerate(documents.text):
        found[benchmark.question(document, "", "").question_id].append((documents, index))
    return found
