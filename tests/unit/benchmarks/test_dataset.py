"""Local data: whole, each question once, each document with its images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlm_confidence_tasks.benchmarks import DocumentError, get
from vlm_confidence_tasks.benchmarks.dataset import Documents, load
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.sandbox import DATA_DIR

SPLITS = {"pope": "test", "amber": "train", "seed": "test", "mmmu": "validation", "caption": "test"}
Row = dict[str, Any]


def table(name: str) -> pa.Table:
    return pq.read_table(DATA_DIR / get(name).folder / f"{SPLITS[name]}.parquet")


def read(folder: Path, name: str = "pope", **files: pa.Table) -> Documents:
    """Write files of a benchmark, `shard_0_3` for <split>-00000-of-00003, and read its split."""
    split = SPLITS[name]
    target = folder / get(name).folder
    target.mkdir(exist_ok=True)
    for file, rows in files.items():
        kind, *numbers = file.split("_")
        shard = "-{:05d}-of-{:05d}".format(*map(int, numbers)) if numbers else f"-{kind}"
        pq.write_table(rows, target / f"{split}{shard}.parquet")
    return load({"test_split": split}, get(name), folder)


def changed(name: str, change: Callable[[Row], Row], rows: Sequence[int] = (0, 1, 2)) -> pa.Table:
    """Rows of a sandbox file, the last of them changed."""
    source = table(name)
    picked = source.take(list(rows)).to_pylist()
    return pa.Table.from_pylist([*picked[:-1], picked[-1] | change(picked[-1])], source.schema)


@pytest.mark.parametrize("name", SPLITS)
def test_a_half_finished_copy_names_what_is_missing(tmp_path: Path, name: str) -> None:
    few = table(name)[:6]
    missing = f"{SPLITS[name]}-00001-of-00003.parquet"
    with pytest.raises(TaskError, match=f"there is no file .*{missing} beside the others"):
        read(tmp_path, name, shard_0_3=few)
    with pytest.raises(TaskError, match="-00002-of-00003.parquet"):
        read(tmp_path, name, shard_1_3=table(name)[6:8])
    whole = read(tmp_path, name, shard_2_3=table(name)[8:9])
    assert len(whole.text) == (2 if name == "caption" else 9)


@pytest.mark.parametrize("total", [1, 99_999_999_999])
def test_each_folder_counts_its_shards(tmp_path: Path, total: int) -> None:
    for part, rows, shards in (("Art", slice(0, 2), 1), ("Music", slice(2, 4), total)):
        (tmp_path / "mmmu" / part).mkdir(parents=True)
        file = tmp_path / "mmmu" / part / f"validation-00000-of-{shards:05d}-0123abcd.parquet"
        pq.write_table(table("mmmu")[rows], file)
    if total == 1:
        assert len(load({"validation_split": "validation"}, get("mmmu"), tmp_path).text) == 4
        return
    with pytest.raises(TaskError, match="no file .*/Music/validation-00001-of-99999999999.parquet"):
        load({"validation_split": "validation"}, get("mmmu"), tmp_path)


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="pope, split test: no row in test-empty.parquet$"):
        read(tmp_path, empty=table("pope")[:0])
    assert len(read(tmp_path, full=table("pope")[:2]).text) == 2


@pytest.mark.parametrize("name", ["pope", "amber", "seed", "mmmu"])
def test_the_same_rows_in_two_files(tmp_path: Path, name: str) -> None:
    rows = table(name)[:6]
    with pytest.raises(TaskError, match="in 2 files: documents 0 and 6 are both question "):
        read(tmp_path, name, one=rows, two=rows.slice(0, 2))


def test_the_ids_are_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="documents 0 and 2 are both question 1 of adversarial: "):
        read(tmp_path, rows=changed("pope", lambda row: {"question_id": "1"}, (0, 1, 30)))


def test_ids_begin_anew_in_each_category(tmp_path: Path) -> None:
    rows = changed("pope", lambda row: {"question_id": "1", "category": "random"}, (0, 0))
    assert len(read(tmp_path, rows=rows).text) == 2


def test_ids_of_another_type_are_the_same(tmp_path: Path) -> None:
    rows = table("pope")[:3].replace_schema_metadata(None)
    place = rows.schema.get_field_index("question_id")
    numbers = rows.set_column(place, "question_id", rows["question_id"].cast(pa.int64()))
    with pytest.raises(TaskError, match="documents 0 and 3 are both question 1 of adversarial"):
        read(tmp_path, one=numbers, two=rows)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("pope", {"question": None}, "document 2: question is None, expected a text"),
        ("pope", {"question_id": ""}, "document 2: question_id is empty"),
        ("amber", {"truth": None}, "document 2: truth is None, expected 'yes' or 'no'"),
        ("seed", {"choice_d": None}, "document 2: choice_d is None, expected a text"),
        ("seed", {"data_type": None}, "row 2: data_type is None, expected image or video"),
        ("mmmu", {"options": "['red', None]"}, "document 2: option B is None, expected a text"),
        ("mmmu", {"options": "-" * 200_000}, "document 2: options is '---.*expected the text of"),
        ("caption", {"image_source": None}, "document 1: image_source is None, expected a text"),
    ],
)
def test_a_document_that_cannot_be_asked(tmp_path: Path, name: str, change: Row, said: str) -> None:
    where = f"{get(name).folder}, split {SPLITS[name]}, "
    with pytest.raises(TaskError, match=f"{where}{said}") as caught:
        read(tmp_path, name, rows=changed(name, lambda row: change))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("pope", {"image": None}, "there is no image in column image"),
        ("pope", {"image": {"bytes": None, "path": None}}, "there is no image"),
        ("pope", {"image": {"bytes": b"", "path": "a.png"}}, "cannot identify image file"),
        ("pope", {"image": {"bytes": None, "path": "../b.png"}}, "'../b.png', which is no file in"),
        ("pope", {"image": {"bytes": None, "path": "http://x.y/z"}}, "'http://x.y/z', which is"),
        ("seed", {"image": None}, "there is no image in column image"),
        ("seed", {"image": []}, "there is no image in column image"),
        ("seed", {"image": [None]}, "there is no image in column image"),
        (
            "mmmu",
            {f"image_{n}": None for n in range(1, 8)},
            "there is no image in column image_1, image_2, ",
        ),
        ("mmmu", {"image_1": None}, "there is no image"),
    ],
)
def test_a_document_without_its_image(tmp_path: Path, name: str, change: Row, said: str) -> None:
    documents = read(tmp_path, name, rows=changed(name, lambda row: change))
    assert len(documents.digests()) == 3 and documents.images(0)
    with pytest.raises((DocumentError, OSError), match=said):
        documents.images(2)


def test_an_image_in_a_file_is_named_by_what_it_is(tmp_path: Path) -> None:
    embedded = read(tmp_path, rows=table("pope")[:1])
    file = tmp_path / "pope" / "a.png"
    file.write_bytes(table("pope")["image"][0].as_py()["bytes"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "pope").symlink_to(tmp_path / "pope")
    rows = changed("pope", lambda row: {"image": {"bytes": None, "path": "a.png"}}, (0,))
    named = read(tmp_path / "other", rows=rows)
    assert named.digests() == embedded.digests()
    assert named.images(0) == embedded.images(0)
    stored = {"bytes": file.read_bytes(), "path": "a.png"}
    assert named.stored([0])["image"][0] == stored


@pytest.mark.parametrize("name", ["pope", "seed", "mmmu"])
def test_stored_rows_are_those_of_the_data(tmp_path: Path, name: str) -> None:
    rows = table(name)[:4]
    stored = read(tmp_path, name, rows=rows).stored([1, 3])
    file = tmp_path / "again.parquet"
    stored.to_parquet(str(file))
    assert pq.read_table(file).to_pylist() == rows.take([1, 3]).to_pylist()
