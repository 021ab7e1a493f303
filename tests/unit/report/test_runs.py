"""Finding runs, and what is said of files that are no runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs

ANSWERS = answers(questions(6), [noise(0.3)])


def test_every_run_under_the_folders_is_found_once(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"pope_eps0.3": ANSWERS}, date="20260101_000000")
    write_run(tmp_path / "b" / "deep", {"t1": ANSWERS, "t2": ANSWERS}, date="20260102_000000")
    problems = Problems()
    found = find_runs([tmp_path, tmp_path / "a"], problems)
    assert sorted((run.task, run.date) for run in found) == [
        ("pope_eps0.3", "20260101_000000"),
        ("t1", "20260102_000000"),
        ("t2", "20260102_000000"),
    ]
    assert problems.lines == []


def test_a_run_knows_what_the_results_file_says(tmp_path: Path) -> None:
    file = write_run(tmp_path, {"t": ANSWERS}, args="pretrained=a/b,revision=abc", limit=6)
    (run,) = find_runs([file], Problems())
    assert (run.model.adapter, run.model.revision, run.limit) == ("llava", "abc", 6)
    assert run.versions == {
        "vlm_confidence_tasks": "1.0",
        "lmms_eval": "0.7.3",
        "torch": "2.9",
        "transformers": "5.1",
    }
    assert "accuracy" in run.numbers and not any("stderr" in name for name in run.numbers)
    assert run.samples.name == "20260101_000000_samples_t.jsonl"


def test_a_limit_of_minus_one_is_no_limit(tmp_path: Path) -> None:
    (run,) = find_runs([write_run(tmp_path, {"t": ANSWERS}, limit=-1)], Problems())
    assert run.limit is None


def test_versions_that_were_not_kept_are_unknown_not_guessed(tmp_path: Path) -> None:
    file = write_run(tmp_path, {"t": ANSWERS}, change=lambda r: r["configs"]["t"].pop("versions"))
    (run,) = find_runs([file], Problems())
    assert run.versions["torch"] is None


def test_tasks_of_others_are_left_alone(tmp_path: Path) -> None:
    def add_other(record: dict) -> None:
        record["configs"]["mme"] = {"task": "mme"}
        record["results"]["mme"] = {"mme_score,none": 1.0}

    write_run(tmp_path, {"t": ANSWERS}, change=add_other)
    problems = Problems()
    assert [run.task for run in find_runs([tmp_path], problems)] == ["t"]
    assert problems.lines == []


def test_a_run_of_others_only_is_a_problem(tmp_path: Path) -> None:
    def only_other(record: dict) -> None:
        record["configs"] = {"mme": {"task": "mme"}}

    file = write_run(tmp_path, {"t": ANSWERS}, change=only_other)
    problems = Problems()
    assert find_runs([tmp_path], problems) == []
    assert problems.lines == [f"{file}: no task of this package in it"]


def test_an_empty_folder_is_a_problem(tmp_path: Path) -> None:
    problems = Problems()
    assert find_runs([tmp_path, tmp_path / "gone"], problems) == []
    assert problems.lines == [
        f"{tmp_path}: no run in it: no file *_results.json",
        f"{tmp_path / 'gone'}: no such folder",
    ]


def test_results_without_samples_are_a_problem_and_the_rest_stays(tmp_path: Path) -> None:
    file = write_run(tmp_path, {"t1": ANSWERS, "t2": ANSWERS})
    file.with_name("20260101_000000_samples_t1.jsonl").unlink()
    problems = Problems()
    assert [run.task for run in find_runs([tmp_path], problems)] == ["t2"]
    (line,) = problems.lines
    assert line.startswith(f"{file}: no samples of t1: no file 20260101_000000_samples_t1.jsonl")


def test_a_run_that_died_is_a_note_once_a_later_one_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = {"t1": ANSWERS, "t2": ANSWERS}
    file = write_run(tmp_path, tasks)
    file.with_name("20260101_000000_samples_t2.jsonl").unlink()
    for date, text in (("20260101_000001", ""), ("20260101_000002", '{"results": {')):
        file.with_name(f"{date}_results.json").write_text(text)
    problems = Problems()
    find_runs([tmp_path], problems)
    assert problems.exit_code() == 1 and len(problems.lines) == 3
    # A run of another model, or of one of the tasks, replaces none of another.
    write_run(tmp_path, tasks, args="pretrained=org/other", date="20260102_000000")
    write_run(tmp_path, {"t1": ANSWERS}, date="20260101_000001b")
    problems = Problems()
    find_runs([tmp_path], problems)
    assert ["no samples of t2" in line or "000002" in line for line in problems.lines] == [True] * 2
    capsys.readouterr()
    whole = write_run(tmp_path, tasks, date="20260103_000000")
    problems = Problems()
    found = {(run.task, run.results) for run in find_runs([tmp_path], problems)}
    assert {("t1", whole), ("t2", whole), ("t1", file)} <= found and ("t2", file) not in found
    assert problems.exit_code() == 0
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 3
    for note in notes:
        assert note.startswith(f"vlm-confidence: note: {file.parent}/20260101_00000")
        assert note.endswith("a later run beside it is whole, so that this one is left out")


def test_torn_or_foreign_results_name_the_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "1_results.json").write_text('{"results": {},\n "configs": ')
    (tmp_path / "2_results.json").write_text(json.dumps({"hello": 1}))
    record = json.loads(write_run(tmp_path / "whole", {"t": ANSWERS}).read_text())
    record["config"]["offset"] = "four"
    (tmp_path / "3_results.json").write_text(json.dumps(record))
    problems = Problems()
    find_runs(sorted(tmp_path.glob("*.json")), problems)
    torn, foreign, odd = problems.lines
    assert odd.startswith(f"{tmp_path / '3_results.json'}: not a results file of the harness")
    assert torn.startswith(f"{tmp_path / '1_results.json'}, line 2: not JSON")
    assert foreign.startswith(f"{tmp_path / '2_results.json'}: not a results file of the harness")


def test_a_task_without_results_is_named(tmp_path: Path) -> None:
    file = write_run(tmp_path, {"t": ANSWERS})
    record = json.loads(file.read_text())
    record["results"] = {}
    file.write_text(json.dumps(record))
    problems = Problems()
    assert find_runs([tmp_path], problems) == []
    why = "LookupError: no results of t"
    assert problems.lines == [f"{file}: not a results file of the harness ({why})"]


def test_a_file_that_cannot_be_of_results_is_told_by_its_name(tmp_path: Path) -> None:
    file = write_run(tmp_path, {"t": ANSWERS})
    samples = next(file.parent.glob("*.jsonl"))
    renamed = file.rename(tmp_path / "best.json")
    problems = Problems()
    assert find_runs([samples, renamed], problems) == []
    assert problems.lines == [
        f"{given}: give a folder, or a results file: one named *_results.json"
        for given in (samples, renamed)
    ]
