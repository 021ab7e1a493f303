"""Which run counts, and which runs never share a column."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.report.formats.html import write_pages
from vlm_confidence_tasks.report.formats.markdown import to_markdown
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs
from vlm_confidence_tasks.report.leaderboard.leaderboard import build_leaderboard, collect
from vlm_confidence_tasks.report.leaderboard.summary import SummaryOptions
from vlm_confidence_tasks.report.leaderboard.tables import build_tables

ASKED = questions(12)
ANSWERS = answers(ASKED, [noise(0.3)])
TASK = "pope_eps0.3"


def board_of(folder: Path) -> dict:
    problems = Problems()
    wanted = SummaryOptions(intervals=False, curves=False, workers=1, quiet=True)
    found, older = collect(find_runs([folder], problems), wanted, problems)
    return build_leaderboard(found, older, 0, problems)


def test_the_newest_run_counts_and_older_ones_are_listed(tmp_path: Path) -> None:
    better = answers(ASKED, [noise(0.3)], seed=5, skill=9)
    write_run(tmp_path, {TASK: ANSWERS, "other": ANSWERS}, date="20260101_000000")
    write_run(tmp_path, {TASK: better}, date="20260301_000000")
    write_run(tmp_path / "elsewhere", {TASK: ANSWERS}, date="20260201_000000")
    made = board_of(tmp_path)
    dates = {entry["task"]: entry["date"] for entry in made["entries"]}
    assert dates == {TASK: "20260301_000000", "other": "20260101_000000"}
    assert [(run["task"], run["date"]) for run in made["older"]] == [
        (TASK, "20260101_000000"),
        (TASK, "20260201_000000"),
    ]


def test_a_run_of_a_part_does_not_replace_one_of_all_documents(tmp_path: Path) -> None:
    write_run(tmp_path, {TASK: ANSWERS}, date="20260101_000000")
    write_run(tmp_path, {TASK: ANSWERS[:4]}, date="20260201_000000", limit=4)
    made = board_of(tmp_path)
    assert [entry["date"] for entry in made["entries"]] == ["20260101_000000"]
    assert [run["date"] for run in made["older"]] == ["20260201_000000"]


def test_a_run_that_passes_over_documents_is_a_part_too(tmp_path: Path) -> None:
    def passing_over(record: dict) -> None:
        record["config"]["offset"] = 4

    write_run(tmp_path, {TASK: ANSWERS}, date="20260101_000000")
    write_run(tmp_path, {TASK: ANSWERS[4:]}, date="20260201_000000", change=passing_over)
    assert [entry["date"] for entry in board_of(tmp_path)["entries"]] == ["20260101_000000"]
    write_run(tmp_path, {TASK: ANSWERS[4:]}, args="pretrained=a/two", change=passing_over)
    _, other = board_of(tmp_path)["columns"]
    assert other["note"].startswith(f"not compared with {TASK}: --offset 4, not no --offset; ")


def test_documents_that_failed_are_counted_beside_the_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_run(tmp_path, {TASK: ANSWERS})
    (samples,) = results.parent.glob("*.jsonl")
    first = json.loads(samples.read_text().splitlines()[0])
    failed = {**first, "question_id": "x", "readouts": [], "failed": "why"}
    samples.write_text(samples.read_text() + json.dumps(failed) + "\n")
    cli.main(["recompute", "--json", str(samples)])
    assert json.loads(capsys.readouterr().out)["failed"] == 1
    made = board_of(tmp_path)
    (entry,) = made["entries"]
    assert (entry["n"]["documents"], entry["n"]["failed"]) == (12, 1)
    line = f"org/model, {TASK}: 1 of 13"
    assert line.replace("_", r"\_") in to_markdown(made, build_tables(made, "task"))
    write_pages(tmp_path / "board", made, build_tables(made, "task"), [], {})
    assert line in (tmp_path / "board" / "index.html").read_text()


def set_config(key: str, value: object) -> Callable[[dict], None]:
    def change(record: dict) -> None:
        record["configs"][TASK][key] = value

    return change


OTHERS = {
    "epsilon": ({TASK: answers(ASKED, [noise(0.5)])}, None, None, "perturbations gaussian_noise"),
    "data": ({TASK: answers(questions(12, images=5), [noise(0.3)])}, None, None, "data "),
    "limit": ({TASK: ANSWERS[:4]}, 4.0, None, "--limit 4, not no --limit; 4 documents"),
    "version": ({TASK: ANSWERS}, None, set_config("vlm_confidence_tasks", "2.0"), "version 2.0"),
    "max_side": ({TASK: ANSWERS}, None, set_config("max_side", 1024), "at most 1024 px"),
    "generation": ({TASK: ANSWERS}, None, set_config("generation_kwargs", {}), "generation {}"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_runs_that_differ_get_a_column_of_their_own_and_a_note(tmp_path: Path, name: str) -> None:
    tasks, limit, change, note = OTHERS[name]
    write_run(tmp_path, {TASK: ANSWERS}, args="pretrained=a/one")
    write_run(tmp_path, {TASK: answers(ASKED, [noise(0.3)], seed=1)}, args="pretrained=a/two")
    options = {"change": change} if change else {}
    write_run(tmp_path, tasks, args="pretrained=a/three", limit=limit, **options)
    made = board_of(tmp_path)
    where = {entry["model"]: entry["column"] for entry in made["entries"]}
    assert where == {"a/one": TASK, "a/two": TASK, "a/three": f"{TASK} [2]"}
    first, second = made["columns"]
    assert first["note"] == ""
    assert second["note"].startswith(f"not compared with {TASK}: ") and note in second["note"]


def test_a_limit_is_noted_even_where_all_runs_share_it(tmp_path: Path) -> None:
    write_run(tmp_path, {TASK: ANSWERS}, limit=12)
    (column,) = board_of(tmp_path)["columns"]
    assert column["note"] == "--limit 12: part of the data only"
