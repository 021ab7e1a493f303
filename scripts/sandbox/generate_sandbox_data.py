"""Write the sandbox's data sets as parquet, with the hub data sets' features.

python scripts/sandbox/generate_sandbox_data.py [FOLDER] [--images 200]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image, Sequence, Value

from tiny_world.amber import amber_rows
from tiny_world.mmmu import mmmu_rows
from tiny_world.pope import pope_rows
from tiny_world.seed import seed_rows
from vlm_confidence_tasks.sandbox import DATA_DIR

Splits = dict[str, list[dict[str, Any]]]


def _features(text: str, **others: Any) -> Any:
    """Features in the hub's order: names in `text` are strings unless given."""
    return Features({name: others.get(name, Value("string")) for name in text.split()})


_IMAGES = " ".join(f"image_{i}" for i in range(1, 8))
_BENCHMARKS: dict[str, tuple[Callable[..., Splits], Any]] = {
    "pope": (
        pope_rows,
        _features("id question_id question answer image_source image category", image=Image()),
    ),
    "amber": (
        amber_rows,
        _features("image id query type truth", image=Image(), id=Value("int64")),
    ),
    "seed": (
        seed_rows,
        _features(
            "answer choice_a choice_b choice_c choice_d data_id data_type question question_id "
            "question_type_id image segment",
            question_type_id=Value("int16"),
            image=Sequence(Image()),
            segment=Sequence(Value("int64")),
        ),
    ),
    "mmmu": (
        mmmu_rows,
        _features(
            f"id question options explanation {_IMAGES} img_type answer topic_difficulty "
            "question_type subfield",
            **{name: Image() for name in _IMAGES.split()},
        ),
    ),
}


def _dataset(rows: list[dict[str, Any]], features: Any) -> Any:
    """Rows as a data set whose columns stand in the order of the features."""
    ordered = [{name: row[name] for name in features} for row in rows]
    return Dataset.from_list(ordered, features=features)


def build(images: int | None = None) -> dict[str, Any]:
    """Return every data set by the path of its file, `<benchmark>/<split>.parquet`.

    Args:
        images: How many images AMBER and SEED-Bench have, if not as many as in the sandbox.
    """
    more = {} if images is None else dict.fromkeys(("amber", "seed"), {"images": images})
    return {
        f"{benchmark}/{split}.parquet": _dataset(rows, features)
        for benchmark, (make, features) in _BENCHMARKS.items()
        for split, rows in make(**more.get(benchmark, {})).items()
    }


def write(folder: Path, images: int | None = None) -> None:
    """Write every data set; an image that many rows share is stored once."""
    for path, dataset in build(images).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        dataset.to_parquet(file, batch_size=len(dataset))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DATA_DIR)
    parser.add_argument("--images", type=int, help="of AMBER and SEED-Bench, if not 24 each")
    options = parser.parse_args()
    write(options.folder, options.images)
