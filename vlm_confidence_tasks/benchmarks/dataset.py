"""Reading a benchmark's data set: from the hub, or from a local folder."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet
from PIL import Image, ImageFile

from vlm_confidence_tasks.benchmarks.base import LOCAL_DATA, Benchmark, DocumentError
from vlm_confidence_tasks.benchmarks.decoding import Decoder, Size, stored_size
from vlm_confidence_tasks.errors import TaskError

INDEX_COLUMN = "vlm_confidence_index"


class Documents:
    """The documents of one split that a benchmark asks about.

    Attributes:
        text: All columns but the images, and `INDEX_COLUMN`; what the harness sees.
    """

    def __init__(
        self,
        rows: datasets.Dataset,
        benchmark: Benchmark,
        where: str,
        folder: Path | None = None,
    ) -> None:
        """Check columns and questions, and keep the rows that the benchmark selects.

        Args:
            rows: The data set.
            benchmark: Whose it is.
            where: Its name in errors.
            folder: Where the files lie that image cells may name (`Decoder`).

        Raises:
            TaskError: A column is missing or holds no images, nothing is left to ask, a document
                is none of the benchmark's, or two are the same question.
        """
        self._benchmark = benchmark
        self._decoder = Decoder(where, folder)
        rows = _with_stored_images(rows, benchmark, where)
        columns = rows.remove_columns(list(benchmark.image_columns)).to_dict()
        try:
            kept = benchmark.select(columns)
        except DocumentError as error:
            raise TaskError(f"{where}, {error}") from error
        if not kept:
            raise TaskError(f"{where}: no row is left to ask of benchmark {benchmark.name}")
        self._rows = rows.select(kept)
        picked = {name: [column[row] for row in kept] for name, column in columns.items()}
        self.text = datasets.Dataset.from_dict(picked | {INDEX_COLUMN: list(range(len(kept)))})
        _check_questions(picked, benchmark, where)

    def digests(self) -> list[bytes]:
        """Return a digest of each document's stored images, without decoding them."""
        return self._hashed[0]

    def image_counts(self) -> list[int]:
        """Return how many images each document has."""
        return self._hashed[1]

    def sizes(self) -> list[tuple[Size, ...]]:
        """Return width and height of each document's stored images, by their headers.

        An image whose header cannot be read has none.
        """
        return self._hashed[2]

    def stored(self, indices: Sequence[int]) -> datasets.Dataset:
        """Return some documents as their rows are stored, to be written as a smaller data set.

        Images in files of the data are put into their cells.
        """
        return self._rows.select(indices).map(self._with_image_bytes, load_from_cache_file=False)

    def _with_image_bytes(self, row: Mapping[str, Any]) -> dict[str, Any]:
        def filled(cell: Any) -> Any:
            if isinstance(cell, list):
                return [filled(one) for one in cell]
            return cell and {"bytes": self._decoder.stored(cell), "path": cell["path"]}

        return {name: filled(row[name]) for name in self._benchmark.image_columns}

    @cached_property
    def _hashed(self) -> tuple[list[bytes], list[int], list[tuple[Size, ...]]]:
        columns = list(self._benchmark.image_columns)
        digests, counts, sizes = [], [], []
        known: dict[bytes, tuple[Size, ...]] = {}
        for batch in self._rows.select_columns(columns).iter(batch_size=64):
            for cells in zip(*(batch[name] for name in columns), strict=True):
                digest = hashlib.blake2b(digest_size=16)
                parts = [self._part(cell) for cell in _flat(cells)]
                for part in parts:
                    digest.update(len(part).to_bytes(8, "big") + part)
                digests.append(digest.digest())
                counts.append(len(parts))
                if digests[-1] not in known:
                    known[digests[-1]] = tuple(filter(None, map(stored_size, parts)))
                sizes.append(known[digests[-1]])
        return digests, counts, sizes

    def _part(self, cell: Any) -> bytes:
        try:
            return self._decoder.stored(cell)
        except (DocumentError, OSError):
            # `images` says why, should the document be asked.
            return str(cell).encode()

    def images(self, index: int) -> list[Image.Image]:
        """Decode a document's images and convert them as the benchmark's own code does.

        Raises:
            DocumentError: There is none, or one that cannot be used (`Decoder.image`).
            OSError: An image is truncated or no image at all.
        """
        row = self._rows[index]
        cells = _flat([row[name] for name in self._benchmark.image_columns])
        if not cells:
            columns = ", ".join(self._benchmark.image_columns)
            raise DocumentError(f"there is no image in column {columns}")
        return [self._benchmark.convert(self._decoder.image(cell)) for cell in cells]


def _flat(cells: Sequence[Any]) -> list[Mapping[str, Any] | None]:
    """Lay out single images and lists of images one after the other; trailing None are none."""
    flat: list[Mapping[str, Any] | None] = []
    for cell in cells:
        flat.extend(cell if isinstance(cell, list) else [cell])
    while flat and flat[-1] is None:
        flat.pop()
    return flat


def _check_questions(
    columns: Mapping[str, Sequence[Any]], benchmark: Benchmark, where: str
) -> None:
    """Refuse a document that cannot be asked, or that would be counted twice.

    Raises:
        TaskError: There is one.
    """
    first: dict[tuple[str, str], int] = {}
    for index, values in enumerate(zip(*columns.values(), strict=True)):
        try:
            question = benchmark.question(dict(zip(columns, values, strict=True)), "", "")
        except DocumentError as error:
            raise TaskError(f"{where}, document {index}: {error}") from error
        earlier = first.setdefault((question.question_id, question.category), index)
        if earlier != index:
            category = f" of {question.category}" if question.category else ""
            raise TaskError(
                f"{where}: documents {earlier} and {index} are both question "
                f"{question.question_id}{category}: ids must differ, and no row be there twice"
            )


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


def split_named(config: Mapping[str, Any]) -> str:
    """Return the split that a task's configuration names.

    Raises:
        TaskError: It names none.
    """
    split = config.get("test_split") or config.get("validation_split")
    if not split:
        raise TaskError("the task names no test_split or validation_split")
    return str(split)


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
    options = config.get("dataset_kwargs") or {}
    if local is not None and options:
        raise TaskError(
            f"dataset_kwargs has {', '.join(sorted(options))}, which {LOCAL_DATA} overrides: leave "
            "the key out or unset the variable"
        )
    path, name = config.get("dataset_path"), config.get("dataset_name")
    split = split_named(config)
    return _load(benchmark, local, path, name, split, json.dumps(options, sort_keys=True))


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
        folder: Path | None = local / benchmark.folder
        rows, where = _local(local, benchmark, split)
    else:
        if not path:
            raise TaskError("the task names no dataset_path")
        folder = Path(path) if Path(path).is_dir() else None
        where = f"data set {path}{f'/{config}' if config else ''}, split {split}"
        try:
            rows = datasets.load_dataset(path, config, split=split, **json.loads(options))
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            instead = f"{LOCAL_DATA}=DIR reads a local copy"
            raise TaskError(f"{where}: cannot be loaded: {error}; {instead}") from error
    return Documents(rows, benchmark, where, folder)


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
    missing = next(_missing_shards(files, split), None)
    if missing is not None:
        raise TaskError(
            f"{LOCAL_DATA}: there is no file {missing} beside the others of its split: copy the "
            "whole data set"
        )
    try:
        # One without rows is more than `datasets` reads.
        filled = [str(file) for file in files if pyarrow.parquet.read_metadata(file).num_rows]
        rows = datasets.Dataset.from_parquet(filled) if filled else None
    except Exception as error:
        raise TaskError(
            f"{LOCAL_DATA}: cannot read {', '.join(map(str, files))}: {error}"
        ) from error
    where = f"{folder}, split {split}"
    if rows is None:
        raise TaskError(f"{where}: no row in {', '.join(file.name for file in files)}")
    return rows, where if len(filled) == 1 else f"{where} in {len(filled)} files"


def _missing_shards(files: Sequence[Path], split: str) -> Iterator[Path]:
    """Yield the files that are not there of a split's `<split>-00000-of-00003` and so on.

    Each folder counts on its own: there may be one for each part of a data set.
    """
    shards = defaultdict(set)
    for file in files:
        named = re.fullmatch(rf"{re.escape(split)}-(\d+)-of-(\d+)(-[^-]+)?", file.stem)
        if named is not None:
            shards[file.parent, int(named[2])].add(int(named[1]))
    for (folder, total), found in sorted(shards.items()):
        for number in range(total):
            if number not in found:
                yield folder / f"{split}-{number:05d}-of-{total:05d}.parquet"


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
