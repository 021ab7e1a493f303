"""Cells of local parquet files: documents are questions with images, or refused in a line."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
from hypothesis import strategies as st
from PIL import Image

from fuzz_targets.made_up import values
from vlm_confidence_tasks import benchmarks
from vlm_confidence_tasks.benchmarks import dataset
from vlm_confidence_tasks.benchmarks.base import DocumentError
from vlm_confidence_tasks.errors import TaskError, one_line
from vlm_confidence_tasks.sandbox import DATA_DIR

FILES = {"pope": "test", "mmmu": "validation", "seed": "test", "amber": "train"}


def whole(name: str) -> dict[str, Any]:
    """Return a row of the embedded data, its images as they are stored."""
    file = next((DATA_DIR / benchmarks.get(name).folder).rglob(f"{FILES[name]}.parquet"))
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(file).slice(0, 1).to_pylist()
    return rows[0]


def picture() -> bytes:
    """Return the bytes of a PNG."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "PNG")
    return file.getvalue()


PNG = picture()
ROWS = {name: whole(name) for name in FILES}
torn = st.integers(0, len(PNG)).map(lambda end: PNG[:end])
flipped = st.tuples(st.integers(0, len(PNG) - 1), st.integers(0, 255)).map(
    lambda drawn: PNG[: drawn[0]] + bytes([drawn[1]]) + PNG[drawn[0] + 1 :]
)
paths = st.none() | st.sampled_from(["", "a.png", "../secret.png", "/etc/passwd", "http://x/y.png"])
images = st.fixed_dictionaries(
    {"bytes": st.none() | st.just(PNG) | torn | flipped | st.binary(), "path": paths}
)
texts = st.sampled_from(["", " ", "None", "nan", "['a', 'b']", "[" * 2000, "{[1]: 2}", "-" * 9999])
cells = values | texts | images | st.lists(images, max_size=2)
INPUTS = (
    st.sampled_from(sorted(FILES)).flatmap(
        lambda name: st.tuples(
            st.just(name), st.dictionaries(st.sampled_from(sorted(ROWS[name])), cells, max_size=2)
        )
    ),
)


def check(drawn: tuple[str, dict[str, Any]]) -> None:
    """Every document is a question, or there is one line about it."""
    name, changed = drawn
    benchmark = benchmarks.get(name)
    with tempfile.TemporaryDirectory() as made:
        file = Path(made, benchmark.folder, f"{FILES[name]}-00000-of-00001.parquet")
        file.parent.mkdir(parents=True)
        try:
            table = pyarrow.Table.from_pylist([{**ROWS[name], **changed}])
            pyarrow.parquet.write_table(table, file)
        except (pyarrow.ArrowException, OverflowError, UnicodeEncodeError, TypeError):
            # No parquet file holds this.
            return
        try:
            documents = dataset.load({"test_split": FILES[name]}, benchmark, Path(made))
        except TaskError as error:
            assert str(error) and "\n" not in str(error), str(error)
            return
        for index, document in enumerate(documents.text):
            assert benchmark.question(document, "", "").prompt
            look(documents, index)


def look(documents: dataset.Documents, index: int) -> None:
    """Decode a document's images; what decoders raise is told of the document."""
    try:
        assert all(image.mode == "RGB" for image in documents.images(index))
    except (DocumentError, OSError, SyntaxError, ValueError) as error:
        assert one_line(error)


datasets.disable_progress_bars()
