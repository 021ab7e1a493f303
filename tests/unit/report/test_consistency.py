"""A results file is held against the metrics that are computed again from its samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks.report.inputs.consistency import disagreement
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs
from vlm_confidence_tasks.report.leaderboard.summary import SummaryOptions, summarise

QUICK = SummaryOptions(intervals=False, curves=False, workers=1, quiet=True)

CHANGES = {
    "entropy": lambda answer: answer.update(entropy=answer["entropy"] + 1e-6),
    "confidence": lambda answer: answer.update(confidence=answer["confidence"] - 1e-6),
    "answer": lambda answer: answer.update(answer=None, confidence=None),
    "correct": lambda answer: answer.update(correct=not answer["correct"]),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("position", [0, 1])
def test_samples_that_are_not_the_results_own_are_left_out(
    tmp_path: Path, name: str, position: int
) -> None:
    write_run(tmp_path, {"t": answers(questions(30), [noise(0.3)])})
    (run,) = find_runs([tmp_path], Problems())
    summarise(run, QUICK)
    rows = [json.loads(line) for line in run.samples.read_text().splitlines()]
    row = next(row for row in rows if row["readouts"][position]["confidence"] is not None)
    CHANGES[name](row["readouts"][position])
    run.samples.write_text("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.raises(ValueError, match="not the samples of 20260101_000000_results.json") as e:
        summarise(run, QUICK)
    assert str(run.samples) in str(e.value)


@pytest.mark.parametrize("listed", [None, ["accuracy", "aurc"]])
def test_every_metric_that_a_run_lists_is_held_against_the_samples(
    tmp_path: Path, listed: list[str] | None
) -> None:
    def spoil(record: dict) -> None:
        # A number that the run does not list is none of its results.
        record["results"]["t"] |= {"aurc,none": 0.9, **({"ece,none": 0.9} if listed else {})}
        record["configs"]["t"]["metric_list"] = [{"metric": name} for name in listed or ()]

    write_run(tmp_path, {"t": answers(questions(30), [noise(0.3)])}, change=spoil)
    (run,) = find_runs([tmp_path], Problems())
    with pytest.raises(ValueError, match=r"aurc is 0.9 there, 0\.\d+ from the samples; t is left"):
        summarise(run, QUICK)


def test_what_an_earlier_release_computed_otherwise_is_not_held_against_the_samples(
    tmp_path: Path,
) -> None:
    def older(record: dict) -> None:
        record["results"]["t"] |= {"brier,none": 0.9, "coverage_90,none": 0.8}
        listed = [{"metric": name} for name in ("accuracy", "brier", "coverage_90")]
        record["configs"]["t"]["metric_list"] = listed

    write_run(tmp_path, {"t": answers(questions(30), [noise(0.3)])}, change=older)
    (run,) = find_runs([tmp_path], Problems())
    assert summarise(run, QUICK).numbers["brier"].value < 0.9


def test_a_metric_on_one_side_only_is_a_disagreement() -> None:
    assert disagreement({"ece": 0.1}, {}, ["ece"]) == "ece is 0.1 there, None from the samples"
    assert disagreement({}, {"ece": 0.1, "iv": 0.2}, ["ece", "iv"]) == (
        "ece is None there, 0.1 from the samples, and 1 more differ"
    )
