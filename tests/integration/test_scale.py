"""The study of sizes, on models of a few steps and documents."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import forking
import pytest

import scale_study
from vlm_confidence_tasks.calibration import evaluate as evaluation

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "scripts" / "scale_studies").glob("*.yaml"))
STUDY = """
title: a few steps
data: sandbox
tasks: [pope_invariance]
arguments: [--limit, "2"]
models:
  - {size: xs, name: xs-0, model: tiny_llava, train: [--size, xs, --steps, "2", --looks, "2",
     --rows, "1", --check, "2", --seed, "0"]}
  - {size: m, name: m-0, model: tiny_llava, pretrained: PACKAGED}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder, and its file beside it."""
    root = tmp_path_factory.mktemp("scale")
    packaged = str(ROOT / "vlm_confidence_tasks" / "sandbox" / "model")
    (root / "study.yaml").write_text(STUDY.replace("PACKAGED", packaged))
    return root


def run(folder: Path, *options: str) -> str:
    page = folder / "page.md"
    given = [str(folder / "kept"), "--study", str(folder / "study.yaml"), "--page", str(page)]
    scale_study.main([*given, *options])
    return page.read_text()


@pytest.mark.usefixtures("forked")
def test_models_are_made_and_run_once_and_tables_have_a_row_a_size(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = run(folder)
    assert capsys.readouterr().out.count("\n") == 3
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    assert ["| xs", "xs-0", "0.24 million", "2"] == rows[1][:4]
    assert [row[0] for row in rows[4:]] == ["| xs", "| m"]
    assert "**not measured**, 2 sizes of a family, 3 are needed" in page
    assert str(folder) not in page
    # Nothing is done again.
    assert run(folder) == page
    assert not capsys.readouterr().out
    run(folder, "--sizes")
    assert capsys.readouterr().out.startswith("xs-0=2")


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let evaluations be forks."""
    program = Path(os.environ[forking.COMMANDS]) / "lmms_eval"
    monkeypatch.setattr(evaluation, "PROGRAM", (str(program),))


def test_a_command_that_fails_ends_the_study_with_a_line(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with pytest.raises(SystemExit, match=f"at the end of {log}: "):
        scale_study.run([sys.executable, "-c", "print('why'); raise SystemExit(3)"], log)
    assert log.read_text() == "why\n"


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_studies_in_the_repository_can_be_read(file: Path) -> None:
    study = scale_study.read_study(file)
    assert len({model.size for model in study.models}) > 1
    assert all(model.train or model.pretrained for model in study.models)


@pytest.mark.parametrize(
    "change, says",
    [
        (("size: m,", "sise: m,"), "unknown field `sise`"),
        (("name: m-0", "name: xs-0"), "two models have one name"),
        ((", pretrained: PACKAGED", ""), "m-0: give either pretrained or train"),
        (("title:", "title: ["), "while parsing"),
    ],
)
def test_a_study_that_is_none_is_refused_in_a_line(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.replace(*change))
    with pytest.raises(SystemExit, match=f"{file}: .*{says}"):
        scale_study.read_study(file)


def test_a_checkpoint_whose_size_nothing_says_is_refused(tmp_path: Path) -> None:
    model = scale_study.Model("7B", "x", "llava", pretrained="a/b")
    with pytest.raises(SystemExit, match="x: its study must say how many parameters"):
        scale_study.parameters(tmp_path, model)
