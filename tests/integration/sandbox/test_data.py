"""The packaged data: schemas, and equality with what the generator makes."""

from __future__ import annotations

import io
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from generate_sandbox_data import build
from vlm_confidence_tasks.sandbox import DATA_DIR

COLUMNS = {
    "pope": "id question_id question answer image_source image category",
    "amber": "image id query type truth",
    "seed": "answer choice_a choice_b choice_c choice_d data_id data_type question question_id "
    "question_type_id image segment",
    "mmmu": "id question options explanation image_1 image_2 image_3 image_4 image_5 image_6 "
    "image_7 img_type answer topic_difficulty question_type subfield",
}
FILES = sorted(
    [f"pope/{split}.parquet" for split in ("test", "adversarial", "popular", "random")]
    + ["amber/train.parquet", "seed/test.parquet", "mmmu/validation.parquet"]
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    cache = str(tmp_path_factory.mktemp("cache"))

    def load(file: str) -> Any:
        path = str(DATA_DIR / file)
        return datasets.load_dataset("parquet", data_files=path, split="train", cache_dir=cache)

    return {file: load(file) for file in FILES}


def pixels(value: Any) -> Any:
    """Images as arrays, however deep they lie; everything else as it is."""
    if isinstance(value, Image.Image):
        return np.asarray(value).tobytes()
    if isinstance(value, dict) and "bytes" in value:
        return np.asarray(Image.open(io.BytesIO(value["bytes"]))).tobytes()
    return [pixels(item) for item in value] if isinstance(value, list) else value


def test_the_files_are_all_there_and_small() -> None:
    found = sorted(str(file.relative_to(DATA_DIR)) for file in DATA_DIR.rglob("*.parquet"))
    assert found == FILES
    assert sum(file.stat().st_size for file in DATA_DIR.rglob("*")) < 2_000_000


@pytest.mark.parametrize("file", FILES)
def test_columns_are_the_hubs(shipped: dict[str, Any], file: str) -> None:
    assert shipped[file].column_names == COLUMNS[file.split("/")[0]].split()


@pytest.mark.parametrize("file", FILES)
def test_rebuilding_gives_what_is_shipped(shipped: dict[str, Any], file: str) -> None:
    built = build()[file]
    assert built.features == shipped[file].features
    for made, kept in zip(built, shipped[file], strict=True):
        assert {k: pixels(v) for k, v in made.items()} == {k: pixels(v) for k, v in kept.items()}
