"""Reading a benchmark's data set: from the hub, or from a local folder."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import datasets
from PIL import Image, ImageFile

from vlm_confidence_tasks.benchmarks.base import LOCAL_DATA, Benchmark
from vlm_confidence_tasks.errors import TaskError

INDEX_COLUMN = "vlm_confidence_index"


class Documents:
    """The documents of one split that a benchmark asks about.

    Attributes:
        text: All columns but the images, and `INDEX_COLUMN`; what the harness sees.
    """

    def __init__(self, rows: datasets.Dataset, benchmark: Benchmark, where: str) -> None:
        """Check the columns and keep the rows that the benchmark selects.

        Raises:
            TaskError: A column is missing, holds no images, or nothing is left to ask.
        """
        self._benchmark = benchmark
        rows = _with_stored_images(rows, benchmark, where)
        columns = rows.remove_columns(list(benchmark.image_columns)).to_dict()
        kept = benchmark.select(columns)
        if not kept:
            raise TaskError(f"{where}: no row is left to ask of benchmark {benchmark.name}")
        self._rows = rows.select(kept)
        picked = {name: [column[row] for row in kept] for name, column in columns.items()}
        self.text = datasets.Dataset.from_dict(picked | {INDEX_COLUMN: list(range(len(kept)))})

    def digests(self) -> list[bytes]:
        """Return a digest of each document's stored images, without decoding them."""
        return self._hashed[0]

    def image_counts(self) -> list[int]:
        """Return how many images each document has."""
        return self._hashed[1]

    def stored(self, indices: Sequence[int]) -> datasets.Dataset:
        """Return some documents as their rows are stored, to be written as a smaller data set."""
        return self._rows.select(indices)

    @cached_property
    def _hashed(self) -> tuple[list[bytes], list[int]]:
        columns = list(self._benchmark.image_columns)
        digests, counts = [], []
        for batch in self._rows.select_columns(columns).iter(batch_size=64):
            for cells in zip(*(batch[name] for name in columns), strict=True):
                digest, images = hashlib.blake2b(digest_size=16), _flat(cells)
                for stored in images:
                    data = stored["bytes"]
                    part = str(stored["path"]).encode() if data is None else data
                    digest.update(len(part).to_bytes(8, "big") + part)
                digests.append(digest.digest())
                counts.append(len(images))
        return digests, counts

    def images(self, index: int) -> list[Image.Image]:
        """Decode a document's images and convert them as the benchmark's own code does.

        Raises:
            OSError: An image is truncated or no image at all.
        """
        row = self._rows[index]
        cells = [row[name] for name in self._benchmark.image_columns]
        decoder = datasets.Image()
        return [self._benchmark.convert(decoder.decode_example(cell)) for cell in _flat(cells)]


def _flat(cells: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Lay out single images and lists of images one after the other; None is no image."""
    flat: list[Mapping[str, Any]] = []
    for cell in cells:
        flat.extend(cell if isinstance(cell, list) else [] if cell is None else [cell])
    return flat


def _with_stored_images(
    rows: datasets.Dataset, benchmark: Benchmark, where: str
) -> datasets.Dataset:
    missing = [name for name in benchmark.columns if name not in rows.column_names]
    if missing:
        raise TaskError(
            f"{where}: column {', '.join(map(repr, missing))} is missing; benchmark "
            f"{benchmark.name} needs {', '.join(benchmark.columns)}; found "
            f"{', '.join(rows.column_names)}"
        )
    for name in benchmark.image_columns:
        feature = rows.features[name]
        single = _inside_list(feature)
        # The dict is what an image column becomes where its type was not written down.
        untyped = isinstance(single, dict) and single.keys() == {"bytes", "path"}
        if not (isinstance(single, datasets.Image) or untyped):
            raise TaskError(f"{where}: column {name!r} holds no images but {feature}")
        stored = datasets.Image(decode=False)
        rows = rows.cast_column(name, stored if single is feature else datasets.List(stored))
    return rows


def _inside_list(feature: Any) -> Any:
    if isinstance(feature, list):
        return feature[0]
    is_list = isinstance(feature, (datasets.List, datasets.LargeList))
    return feature.feature if is_list else feature


def load(config: Mapping[str, Any], benchmark: Benchmark, local: Path | None) -> Documents:
    """Load the documents that a task's configuration names, once for all tasks of a run.

    Args:
        config: The task's `test_split` or `validation_split`, `dataset_path`, `dataset_name` and
            `dataset_kwargs`.
        benchmark: Whose data set it is.
        local: Folder with `<benchmark>/**/<split>*.parquet`; None: the data set is loaded
            from the hub.

    Raises:
        TaskError: The data set, folder, split or a column is missing, or `dataset_kwargs` are
            given that local data cannot heed.
    """
    split = config.get("test_split") or config.get("validation_split")
    if not split:
        raise TaskError("the task names no test_split or validation_split")
    options = config.get("dataset_kwargs") or {}
    if local is not None and options:
        raise TaskError(
            f"dataset_kwargs has {', '.join(sorted(options))}, which {LOCAL_DATA} overrides: leave "
            "the key out or unset the variable"
        )
    path, name = config.get("dataset_path"), config.get("dataset_name")
    return _load(benchmark, local, path, name, str(split), json.dumps(options, sort_keys=True))


@lru_cache(maxsize=16)
def _load(
    benchmark: Benchmark,
    local: Path | None,
    path: str | None,
    config: str | None,
    split: str,
    options: str,
) -> Documents:
    if local is not None:
        rows, where = _local(local, benchmark, split)
    else:
        if not path:
            raise TaskError("the task names no dataset_path")
        where = f"data set {path}{f'/{config}' if config else ''}, split {split}"
        try:
            rows = datasets.load_dataset(path, config, split=split, **json.loads(options))
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            instead = f"{LOCAL_DATA}=DIR reads a local copy"
            raise TaskError(f"{where}: cannot be loaded: {error}; {instead}") from error
    return Documents(rows, benchmark, where)


def _local(root: Path, benchmark: Benchmark, split: str) -> tuple[datasets.Dataset, str]:
    folder = root / benchmark.folder
    expected = f"{folder}/**/{split}.parquet or {split}-*.parquet"
    if not folder.is_dir():
        raise TaskError(f"{LOCAL_DATA}: no folder {folder}; expected {expected}")
    files = sorted(
        file
        for file in folder.rglob("*.parquet")
        if file.stem == split or file.stem.startswith(f"{split}-")
    )
    if not files:
        found = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.parquet"))
        raise TaskError(
            f"{LOCAL_DATA}: no split {split!r} in {folder}; expected {expected}, "
            f"found {', '.join(found) or 'no parquet file'}"
        )
    try:
        rows = datasets.Dataset.from_parquet([str(file) for file in files])
    except Exception as error:
        raise TaskError(
            f"{LOCAL_DATA}: cannot read {', '.join(map(str, files))}: {error}"
        ) from error
    return rows, f"{folder}, split {split}"


@contextmanager
def strict_decoding() -> Iterator[None]:
    """Make truncated images raise in the block.

    The harness tells Pillow, for the whole process, to fill what is missing with grey:
    a perturbation that nobody asked for.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
