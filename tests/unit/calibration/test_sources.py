"""Questions from benchmarks and folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from calibration.making import scenes
from vlm_confidence_tasks.calibration.sources import (
    benchmark_data,
    folder_questions,
    is_folder,
    prefix_of,
)
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.perturbations import image_digest
from vlm_confidence_tasks.sandbox import DATA_DIR
from vlm_confidence_tasks.sandbox.render import pale


def test_the_prefix_is_the_longest_that_fits() -> None:
    found = {task: prefix_of(task) for task in ("pope_adv_blur", "pope_eps0.3", "amber_verbal3")}
    assert list(found.values()) == ["pope_adv", "pope", "amber"]
    with pytest.raises(TaskError, match="task coco_blur: of no benchmark that is known here"):
        prefix_of("coco_blur")


def test_a_benchmarks_questions_come_bare_with_their_answers_and_images() -> None:
    data = benchmark_data("pope", DATA_DIR)
    asked = list(data.asked())
    assert len(asked) == len(data.documents.text) == 540
    assert {one.answer for one in asked} == {"Yes", "No"}
    assert asked[0].question.prompt == data.documents.text[0]["question"]
    digests = data.image_digests()
    assert digests == {image_digest(one.image) for one in asked} and len(digests) == 30


def test_a_prefix_of_some_questions_has_these_alone() -> None:
    relations = list(benchmark_data("amber_relation", DATA_DIR).asked())
    assert 0 < len(relations) < len(list(benchmark_data("amber", DATA_DIR).asked()))
    assert all("to the" in one.question.asked for one in relations)


def test_images_without_names_are_named_by_their_pixels() -> None:
    one = next(benchmark_data("amber", DATA_DIR).asked())
    assert one.question.image_id == image_digest(one.image)


def test_a_models_answers_are_matched_by_question_category_and_image() -> None:
    data = benchmark_data("pope", DATA_DIR)
    first = next(data.asked())
    key = (first.question.question_id, first.question.category, image_digest(first.image))
    (only,) = data.asked({key: "No", ("1", "popular", "ab"): "Yes"})
    assert (only.question, only.answer) == (first.question, "No")


def test_a_split_is_read_under_either_of_the_harness_s_names(tmp_path: Path) -> None:
    data = benchmark_data("mmmu", DATA_DIR)
    assert data.split == "validation" and len(list(data.asked())) == 15
    data.write([0], tmp_path)
    assert (tmp_path / "mmmu" / "validation.parquet").exists()


def test_rows_are_written_as_local_data(tmp_path: Path) -> None:
    data = benchmark_data("pope", DATA_DIR)
    rows = [5, 17, 300]
    data.write(rows, tmp_path)
    again = list(benchmark_data("pope", tmp_path).asked())
    before = list(data.asked())
    assert [one.question for one in again] == [before[row].question for row in rows]
    assert [one.image for one in again] == [before[row].image for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (scene,) = scenes(1)
    pale(scene).save(tmp_path / "a.png")
    line = {"image": "a.png", "question": "Is there a star?", "answer": "Yes", "more": 1}
    (tmp_path / "questions.jsonl").write_text(json.dumps(line) + "\n")
    return tmp_path


def test_a_folders_questions(folder: Path) -> None:
    assert is_folder(str(folder)) and not is_folder("pope")
    (one,) = folder_questions(folder)
    assert (one.question.asked, one.answer, one.row) == ("Is there a star?", "Yes", None)
    assert one.question.image_id == "a.png"
    assert image_digest(one.image) == image_digest(pale(scenes(1)[0]))


def test_a_question_may_hold_what_ends_lines_elsewhere_and_blank_lines_may_follow(
    folder: Path,
) -> None:
    line = {"image": "a.png", "question": "One\u2028two\x85?", "answer": "Yes"}
    text = json.dumps(line, ensure_ascii=False) + "\n\n \n"
    (folder / "questions.jsonl").write_text(text, encoding="utf-8")
    assert [one.question.asked for one in folder_questions(folder)] == [line["question"]]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"image": "a.png", "question": "?"}', "missing required field `answer`"),
        ('{"image": "b.png", "question": "?", "answer": "Yes"}', "'b.png', which is no file in"),
        ('{"image": "../a.png", "question": "?", "answer": "Yes"}', "'../a.png', which is no file"),
        ('{"image": "/etc/motd", "question": "?", "answer": "Yes"}', "'/etc/motd', which is no fi"),
        ('{"image": "link.png", "question": "?", "answer": "Yes"}', "'link.png', which is no file"),
        ('{"image": "file:///a.png", "question": "?", "answer": "Yes"}', "'file:///a.png', which"),
        ('{"image": "", "question": "?", "answer": "Yes"}', "image is empty"),
        ('{"image": "a.png", "question": " ", "answer": "Yes"}', "question is empty"),
        ('{"image": "a.png", "question": "?", "answer": ""}', "answer is empty"),
        ('{"image": "questions.jsonl", "question": "?", "answer": "Yes"}', "UnidentifiedImageErr"),
        ("yes", "DecodeError"),
    ],
)
def test_a_bad_line_is_named(folder: Path, line: str, said: str) -> None:
    shutil.copy(folder / "a.png", folder.parent)
    (folder / "link.png").symlink_to(folder.parent / "a.png")
    with (folder / "questions.jsonl").open("a") as stream:
        stream.write(line)
    with pytest.raises(TaskError, match=f"line 2: .*{said}"):
        list(folder_questions(folder))


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="questions.jsonl: cannot be read"):
        list(folder_questions(tmp_path))
