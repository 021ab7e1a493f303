"""Data that are not what they should be, by the real command; docs/faults.md lists the outcomes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Run, evaluate_command, of_images, resized, run_command, write_pope
from PIL import Image

from vlm_confidence_tasks.perturbations import image_digest
from vlm_confidence_tasks.sandbox import DATA_DIR

SHARD = "test-0000{}-of-00003.parquet"


def run(folder: Path, **environment: str) -> Run:
    command = evaluate_command("pope_eps0.3")
    return run_command(command, folder, folder / "data", **environment)


def said(run: Run) -> str:
    """The one line with which a run ended that did nothing."""
    assert run.code == 1 and not run.folder.exists(), run.output
    assert run.output.count("lmms_eval: error: ") == 1
    return f"exit 1, “{run.last_line}”"


def test_a_half_finished_copy(happened: Callable, tmp_path: Path) -> None:
    write_pope(tmp_path / "data", range(0, 46, 23))
    (file,) = tmp_path.glob("data/pope/*.parquet")
    file.rename(file.with_name(SHARD.format(0)))
    what = "one of three shards in the folder"
    happened("a half-finished copy", what, said(run(tmp_path)))


def test_rows_that_are_there_twice(happened: Callable, tmp_path: Path) -> None:
    write_pope(tmp_path / "data", range(0, 46, 23))
    (file,) = tmp_path.glob("data/pope/*.parquet")
    shutil.copy(file, file.with_name("test-again.parquet"))
    happened("the same rows twice", "in two files of a split", said(run(tmp_path)))


def test_a_text_that_is_missing(happened: Callable, tmp_path: Path) -> None:
    def without(row: dict) -> dict:
        return row | {"question": None} if row["question_id"] == "24" else row

    write_pope(tmp_path / "data", range(0, 46, 23), without)
    happened("a text is missing", "a question that is null", said(run(tmp_path)))


def test_a_question_longer_than_the_models_positions(happened: Callable, tmp_path: Path) -> None:
    def longer(row: dict) -> dict:
        return row | {"question": "dog " * 5000} if row["question_id"] == "24" else row

    write_pope(tmp_path / "data", range(0, 46, 23), longer)
    found = run(tmp_path, VLM_CONFIDENCE_MAX_FAILURES="1")
    assert found.code == 0, found.output
    (record,) = found.results["failed"]
    happened("a question too long", "5,000 words", f"the document fails: “{record['error']}”")


def saved(image: Image.Image, kind: str) -> bytes:
    file = BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Questions 1 and 24 to 116 of which each has an image of another kind."""
    folder = tmp_path_factory.mktemp("images")

    def deep(stored: bytes) -> bytes:
        grey = np.asarray(Image.open(BytesIO(stored)).convert("L")).astype(np.uint16)
        return saved(Image.fromarray(grey * 16 + 300), "PNG")

    def not_finite(stored: bytes) -> bytes:
        return saved(Image.fromarray(np.full((64, 64), np.nan, np.float32)), "TIFF")

    def change(row: dict) -> dict:
        row = of_images(deep, "24")(of_images(not_finite, "47")(row))
        row = of_images(lambda stored: resized(stored, 8000, 8000), "70")(row)
        if row["question_id"] == "93":
            row |= {"image": {"bytes": None, "path": "https://127.0.0.1:9/a.png"}}
        return row | {"image": None} if row["question_id"] == "116" else row

    # Not by `datasets`, which fetches what it writes.
    source = pq.read_table(DATA_DIR / "pope" / "test.parquet")
    rows = map(change, source.take(list(range(0, 116, 23))).to_pylist())
    (folder / "data" / "pope").mkdir(parents=True)
    target = folder / "data" / "pope" / "test.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows), source.schema), target)
    return run(folder, VLM_CONFIDENCE_MAX_FAILURES="4")


def test_images_that_cannot_be_used(happened: Callable, images: Run) -> None:
    assert images.code == 0, images.output
    assert images.numbers("pope_eps0.3")["failed"] == 4
    lines = [record["error"] for record in images.results["failed"]]
    for line, fault, what in (
        (lines[0], "a value that is not finite", "NaN in a TIFF of floats"),
        (lines[1], "an image too large", "8,000 x 8,000 pixels of one colour or few"),
        (lines[2], "an address for an image", "a cell with a URL, or a path outside the data"),
        (lines[3], "no image", "a cell that is null"),
    ):
        happened(fault, what, f"the document fails: “{line}”")


def test_an_image_of_16_bits(happened: Callable, images: Run) -> None:
    text = re.sub(r"\x1b\[\d+m", "", images.output)
    (line,) = (line for line in text.splitlines() if "more than 8 bits" in line)
    assert f"{images.folder.parent}/data/pope, split test: " in line
    happened(
        "an image of 16 bits",
        "a grey PNG with values up to 4,380",
        f"it ended well; “{line.rsplit(' - ')[-1]}”",
    )
    row = images.samples("pope_eps0.3")["24"]
    stored = pq.read_table(DATA_DIR / "pope" / "test.parquet")["image"][23].as_py()["bytes"]
    grey = np.asarray(Image.open(BytesIO(stored)).convert("L")).astype(float)
    grey = np.rint((grey - grey.min()) / (grey.max() - grey.min()) * 255).astype(np.uint8)
    assert row["image_sha256"] == image_digest(Image.fromarray(grey).convert("RGB"))
