"""`vlm-confidence csp`: data, training, before and after, and the study, on the tiny model."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from conftest import Run, run_command

import csp_study
from vlm_confidence_tasks.calibration import evaluate as evaluation
from vlm_confidence_tasks.calibration import models
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.sandbox import MODEL_DIR

ROOT = Path(__file__).parents[2]
CONFIG = """
include: csp
data: {copies: 2, held_out: 0.4, seed: 1}
train:
  dtype: float32
  gradient_checkpointing: false
  lora: {rank: 4, alpha: 8}
  sft: {steps: 3, batch_size: 4, accumulation: 1, learning_rate: 1e-3}
  simpo: {steps: 2, batch_size: 4, accumulation: 1, learning_rate: 1e-3}
"""
DATA = ("vlm-confidence", "csp", "data", "amber", "--masks", "sandbox", "--output", "data")
TRAIN = ("vlm-confidence", "csp", "train", "--data", "data", "--output", "out")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which data were made and the tiny model was trained."""
    folder = tmp_path_factory.mktemp("csp")
    (folder / "mine.yaml").write_text(CONFIG)
    for command in (DATA, (*TRAIN, "--model", str(MODEL_DIR))):
        done = run_command([*command, "--config", "mine.yaml"], folder)
        assert done.code == 0, done.output
    return folder


@pytest.mark.usefixtures("forked")
def test_before_and_after_on_images_that_were_held_out(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_MASKS", "sandbox")
    found = evaluation.evaluate(
        str(MODEL_DIR),
        str(trained / "out" / "model"),
        tmp_path,
        ["amber_objectnoise", "amber_relation_verbal3"],
        str(trained / "data" / "held_out"),
        ["--limit", "6"],
    )
    rows = {(row.task, row.metric): row for row in found.differences}
    assert rows["amber_objectnoise", "verbal_ece"].documents == 6
    assert ("amber_relation_verbal3", "verbal_accuracy") in rows
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert len(record["differences"]) == len(rows)
    text = (tmp_path / "comparison.md").read_text()
    shown = [line.split(" | ")[:2] for line in text.splitlines() if "| `" in line]
    assert ["| amber_objectnoise", "`accuracy`"] in shown
    before, after = (
        next((tmp_path / name).rglob("*_samples_amber_objectnoise.jsonl")).read_text()
        for name in ("before", "after")
    )
    assert before != after


def test_images_that_were_trained_on_are_refused(trained: Path, tmp_path: Path) -> None:
    command = ["vlm-confidence", "csp", "evaluate", "--before", str(MODEL_DIR)]
    command += ["--after", str(trained / "out" / "model"), "--output", "results"]
    done = run_command([*command, "--tasks", "amber_relation_verbal3"], tmp_path)
    assert done.code == 1
    assert done.last_line.startswith("vlm-confidence: error: amber_relation: ")
    assert "images were trained on" in done.last_line
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("forked")
def test_a_run_that_fails_ends_the_comparison(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="evaluation of nowhere failed, for the reason above"):
        evaluation.run_tasks("nowhere", ["pope_blur"], tmp_path, "sandbox")


def _questions(folder: Path, **line: str) -> Path:
    shutil.copy(ROOT / "docs" / "studies" / "sandbox-frequency.png", folder / "a.png")
    (folder / "questions.jsonl").write_text(json.dumps({"image": "a.png", **line}))
    return folder


def _refused(done: Run) -> str:
    assert done.code == 1
    assert "Traceback" not in done.output
    return done.last_line.removeprefix("vlm-confidence: error: ")


def test_questions_without_masks_are_refused(tmp_path: Path) -> None:
    boxes = {
        "images": [{"id": 1, "file_name": "a.png", "width": 10, "height": 10}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    _questions(tmp_path, question="Is there a dog in the image?", answer="Yes")
    command = ["vlm-confidence", "csp", "data", ".", "--masks", "boxes:boxes.json"]
    done = run_command([*command, "--output", "data"], tmp_path)
    assert _refused(done).startswith("no mask was found for any of 1 questions")


def test_an_unknown_source_and_configuration_are_refused(tmp_path: Path) -> None:
    done = run_command(["vlm-confidence", "csp", "data", "coco", *DATA[4:]], tmp_path)
    assert _refused(done).startswith("no benchmark 'coco': name one of amber")
    done = run_command([*DATA, "--config", "mine"], tmp_path)
    assert _refused(done).startswith("no configuration mine: name one of csp")


def test_the_seed_of_the_command_is_that_of_training(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vlm_confidence_tasks import cli
    from vlm_confidence_tasks.calibration import train

    seeds = []
    monkeypatch.setattr(train, "train", lambda *given: seeds.append(given[3].train.seed))
    for more in ([], ["--seed", "7"]):
        cli.main([*TRAIN[1:], "--model", "m", *more])
    assert seeds == [0, 7]


@pytest.mark.usefixtures("forked")
def test_the_study_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_MASKS", "sandbox")
    monkeypatch.syspath_prepend(ROOT / "scripts" / "studies")
    page = tmp_path / "csp.md"
    arguments = ["--small", "--workers", "1", "--page", str(page)]
    monkeypatch.setattr(sys, "argv", ["csp_study.py", str(tmp_path / "study"), *arguments])
    runpy.run_path(str(ROOT / "scripts" / "studies" / "csp_study.py"), run_name="__main__")
    lines = page.read_text().splitlines()
    assert [line for line in lines if line.startswith("| SFT + SimPO | 0.")]
    assert [line for line in lines if line.startswith("| before | ")]
    # All of it is there: the page is written again from what was measured.
    page.unlink()
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    runpy.run_path(str(ROOT / "scripts" / "studies" / "csp_study.py"), run_name="__main__")
    assert page.read_text().splitlines() == lines


def test_a_folder_of_other_weights_or_settings_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    csp_study.check_same(tmp_path, csp_study.SMALL)
    csp_study.check_same(tmp_path, csp_study.SMALL)
    with pytest.raises(SystemExit, match=f"{tmp_path}: has a study of other weights or settings"):
        csp_study.check_same(tmp_path, csp_study.WHOLE)
    (tmp_path / "model.safetensors").write_bytes(b"other")
    monkeypatch.setattr(csp_study, "MODEL_DIR", tmp_path)
    with pytest.raises(SystemExit, match="other weights"):
        csp_study.check_same(tmp_path, csp_study.SMALL)
