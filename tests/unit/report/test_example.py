"""Three runs become one leaderboard by the documented commands, and all its files agree."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import forking
import pytest
import yaml
from conftest import run_command

from report.reading import assert_tables_are_on_their_pages, cells, cells_of_index, pages
from vlm_confidence_tasks.report.compare import PLACES
from vlm_confidence_tasks.report.digits import digits
from vlm_confidence_tasks.report.formats.csv import to_csv
from vlm_confidence_tasks.report.formats.latex import to_latex
from vlm_confidence_tasks.report.formats.markdown import to_markdown
from vlm_confidence_tasks.report.leaderboard.tables import build_tables

FOLDER = Path(__file__).parents[3] / "docs" / "leaderboard"
README = (FOLDER / "README.md").read_text()
LESS = {"LIMIT": "8", "TASKS": "pope_eps0.3"}
# Of the two runs that the script compares.
ARGUMENTS = ({}, {"load_in_4bit": "True"})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script makes of eight questions and one strength of noise."""
    folder = tmp_path_factory.mktemp("example")
    # Where the script looks for the commands.
    less = {**LESS, "BIN": os.environ[forking.COMMANDS], "OUTPUT": "board"}
    done = run_command(["bash", str(FOLDER / "make.sh")], folder, "", **less)
    assert done.code == 0, done.output
    assert done.output.count("will be cast") <= 1
    return folder / "board"


@pytest.fixture(params=["made", "committed"])
def example(request: pytest.FixtureRequest) -> Path:
    if request.param == "made":
        return request.getfixturevalue("made")
    if not (FOLDER / "example").is_dir():
        pytest.skip("no example is committed")
    return FOLDER / "example"


@pytest.fixture
def leaderboard(example: Path) -> dict:
    return json.loads((example / "leaderboard.json").read_text())


def test_one_model_in_three_precisions(leaderboard: dict) -> None:
    assert [model["args"] for model in leaderboard["models"]] == [
        {},
        {"load_in_4bit": "True"},
        {"load_in_8bit": "True"},
    ]
    assert leaderboard["problems"] == []
    tasks = {column["id"] for column in leaderboard["columns"]}
    assert len(leaderboard["entries"]) == 3 * len(tasks)
    entropies = {entry["metrics"]["entropy"]["value"] for entry in leaderboard["entries"]}
    assert len(entropies) == len(leaderboard["entries"])


def test_tables_are_those_of_the_json(example: Path, leaderboard: dict) -> None:
    tables = build_tables(leaderboard, "task")
    assert (example / "leaderboard.md").read_text() == to_markdown(leaderboard, tables)
    assert (example / "leaderboard.csv").read_text() == to_csv(tables, "task")
    assert (example / "leaderboard.tex").read_text() == to_latex(tables)


def test_pages_hold_the_numbers_of_the_json(example: Path, leaderboard: dict) -> None:
    shown = pages(example)
    assert cells(shown["index.html"]) == cells_of_index(leaderboard)
    assert_tables_are_on_their_pages(shown, leaderboard)
    models = [item for item in shown.items() if item[0].startswith("models/")]
    assert len(models) == len(leaderboard["models"])
    for model, (_, page) in zip(leaderboard["models"], models, strict=True):
        entries = [entry for entry in leaderboard["entries"] if entry["model"] == model["name"]]
        expected = {n["value"] for entry in entries for n in entry["metrics"].values()}
        assert {value for value, _, _ in cells(page)} == expected


def test_the_comparison_holds_the_numbers_of_the_json(example: Path, leaderboard: dict) -> None:
    names = [
        next(m["name"] for m in leaderboard["models"] if m["args"] == args) for args in ARGUMENTS
    ]
    held = {
        (entry["model"], entry["task"], metric): digits(number["value"], PLACES)
        for entry in leaderboard["entries"]
        for metric, number in entry["metrics"].items()
    }
    lines = (example / "compare.txt").read_text().split("\n\n")[1].splitlines()[1:]
    assert len(lines) > 30
    for task, metric, _, *sides in (re.split(r"  +", line)[:5] for line in lines):
        # Beside an ECE stands its floor.
        assert [side.split()[0] for side in sides] == [held[name, task, metric] for name in names]


def test_the_readme_shows_what_the_script_does() -> None:
    script = (FOLDER / "make.sh").read_text().replace("$here", "docs/leaderboard").replace('"', "")
    shown = re.findall(r"^    ((?:lmms_eval|vlm-confidence) .*)$", README, re.M)
    assert len(shown) == 4
    for command in shown:
        assert re.search(rf"^{re.escape(command)}( |$)", script, re.M), command
    (runs,) = {run["tasks"] for run in yaml.safe_load((FOLDER / "runs.yaml").read_text())}
    assert runs == "pope_eps,pope_rotation"
