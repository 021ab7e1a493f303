"""Any change of the samples shows in the metrics that are computed again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks.report.inputs.consistency import disagreement
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs
from vlm_confidence_tasks.report.leaderboard.summary import SummaryOptions, summarise

QUICK = SummaryOptions(intervals=False, workers=1, quiet=True)


def change(key: str, value: Callable[[dict], object]) -> Callable[[dict], None]:
    def apply(answer: dict) -> None:
        answer[key] = value(answer)

    return apply


CHANGES = {
    "entropy": change("entropy", lambda a: a["entropy"] + 1e-6),
    "confidence": change("confidence", lambda a: a["confidence"] - 1e-6),
    "answer": lambda answer: answer.update(answer=None, confidence=None),
    "correct": change("correct", lambda a: not a["correct"]),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("position", [0, 1])
def test_samples_that_are_not_the_results_own_are_left_out(
    tmp_path: Path, name: str, position: int
) -> None:
    write_run(tmp_path, {"t": answers(questions(30), [noise(0.3)])})
    (run,) = find_runs([tmp_path], Problems())
    summarise(run, QUICK)
    lines = run.samples.read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    row = next(row for row in rows if row["readouts"][position]["confidence"] is not None)
    CHANGES[name](row["readouts"][position])
    run.samples.write_text("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.raises(ValueError, match="not the samples of 20260101_000000_results.json") as e:
        summarise(run, QUICK)
    assert str(run.samples) in str(e.value)


def test_every_metric_is_held_against_the_samples_when_intervals_are_made(tmp_path: Path) -> None:
    def spoil(record: dict) -> None:
        record["results"]["t"]["aurc,none"] += 1e-6

    write_run(tmp_path, {"t": answers(questions(30), [noise(0.3)])}, change=spoil)
    (run,) = find_runs([tmp_path], Problems())
    with pytest.raises(ValueError, match="aurc is"):
        summarise(run, SummaryOptions(workers=1, quiet=True))


def test_a_metric_on_one_side_only_is_a_disagreement() -> None:
    assert disagreement({"ece": 0.1}, {}, ["ece"]) == "ece is 0.1 there, None from the samples"
    assert disagreement({}, {"ece": 0.1, "iv": 0.2}, ["ece", "iv"]) == (
        "ece is None there, 0.1 from the samples, and 1 more differ"
    )
