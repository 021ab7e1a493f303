"""Two runs on the documents both answered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wilcoxon

from report.synthetic import Asked, answers, noise, questions, write_run
from vlm_confidence_tasks.metrics import bootstrap_mean_interval, task_metrics
from vlm_confidence_tasks.report import cli
from vlm_confidence_tasks.report.compare import TEST, compare_runs
from vlm_confidence_tasks.report.inputs.problems import Problems

TASK = "pope_eps0.3"
ASKED = questions(60, images=11)
BAD = answers(ASKED, [noise(0.3)], seed=1, skill=0.0)
GOOD = answers(ASKED, [noise(0.3)], seed=2, skill=4.0)


def test_differences_equal_those_of_the_metrics_on_common_documents(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", {TASK: BAD[:50]})
    other = write_run(tmp_path / "b", {TASK: GOOD[10:][::-1]})
    problems = Problems()
    found = compare_runs([one, other], 50, problems)
    assert problems.lines == []
    a, b = (task_metrics([d for _, d in held[10:50]]) for held in (BAD, GOOD))
    rows = {row.metric: row for row in found.differences}
    assert rows.keys() == a.keys() & b.keys()
    for name, row in rows.items():
        assert (row.a, row.b) == pytest.approx((a[name], b[name]), abs=1e-12)
        assert row.difference == row.b - row.a and row.documents == 40
    assert found.notes == (f"{TASK}: 40 documents in common, of 50 and 50",)


def test_categories_that_number_their_questions_alike_are_told_apart(tmp_path: Path) -> None:
    asked = [Asked(str(n % 20), f"image{n % 5}", category="ab"[n // 20]) for n in range(40)]
    held = [answers(asked, [noise(0.3)], seed=seed) for seed in (1, 2)]
    one = write_run(tmp_path / "a", {TASK: held[0]})
    # The other run has the categories in the other order, and lacks the last of its rows.
    other = write_run(tmp_path / "b", {TASK: (held[1][20:] + held[1][:20])[:-1]})
    problems = Problems()
    found = compare_runs([one, other], 5, problems)
    assert problems.lines == []
    assert found.notes == (f"{TASK}: 39 documents in common, of 40 and 39",)
    both = [n for n in range(40) if n != 19]
    expected = [task_metrics([run[n][1] for n in both])["accuracy"] for run in held]
    (row,) = (row for row in found.differences if row.metric == "accuracy")
    assert (row.a, row.b) == pytest.approx(expected, abs=1e-12)


def test_interval_and_test_of_accuracy(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, {TASK: h}) for name, h in (("a", BAD), ("b", GOOD))]
    row = next(
        row for row in compare_runs(runs, 200, Problems()).differences if row.metric == "accuracy"
    )
    right = [[float(d.variants[0].correct) for _, d in held] for held in (BAD, GOOD)]
    images = [d.image_id for _, d in BAD]
    side = np.repeat([False, True], len(images))
    expected = bootstrap_mean_interval(right[0] + right[1], images * 2, paired=side, draws=200)
    assert (row.difference, row.low, row.high) == pytest.approx(
        (expected.estimate, expected.low, expected.high)
    )
    assert 0 < row.low < row.high
    change = np.array(right[1]) - np.array(right[0])
    by_image = [change[np.array(images) == image].mean() for image in sorted(set(images))]
    moved = np.sort([value for value in by_image if value])
    assert row.p == pytest.approx(wilcoxon(moved).pvalue)


def test_a_run_against_itself_has_no_difference(tmp_path: Path) -> None:
    run = write_run(tmp_path, {TASK: GOOD})
    for row in compare_runs([run, run], 20, Problems()).differences:
        assert row.difference == 0 and row.p is None
        assert row.low in (None, 0) and row.high in (None, 0)


def test_metrics_over_different_documents_have_no_p(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, {TASK: h}) for name, h in (("a", BAD), ("b", GOOD))]
    rows = {row.metric: row for row in compare_runs(runs, 5, Problems()).differences}
    assert rows["right_to_wrong"].p is None and rows["ece"].p is None
    assert rows["entropy"].p is not None


def test_settings_that_differ_are_noted(tmp_path: Path) -> None:
    stronger = answers(ASKED, [noise(0.5)])
    runs = [write_run(tmp_path / name, {TASK: h}) for name, h in (("a", GOOD), ("b", stronger))]
    (note,) = compare_runs(runs, 5, Problems()).notes
    assert "perturbations differs" in note and "0.3" in note and "0.5" in note


def test_tasks_of_one_run_only_are_noted(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", {TASK: GOOD, "pope_blur": GOOD})
    other = write_run(tmp_path / "b", {TASK: BAD, "pope_jpeg": BAD})
    notes = compare_runs([one, other], 2, Problems()).notes
    assert notes == (f"pope_blur: only in {one}", f"pope_jpeg: only in {other}")


def test_what_cannot_be_compared_is_a_problem(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", {TASK: GOOD})
    other = write_run(tmp_path / "b", {"other": GOOD})
    twice = write_run(tmp_path / "c", {TASK: [*GOOD, GOOD[4]]})
    others = [(replace(asked, question_id=f"x{n}"), d) for n, (asked, d) in enumerate(GOOD)]
    apart = write_run(tmp_path / "e", {TASK: others})
    two = tmp_path / "d"
    write_run(two, {TASK: GOOD}, args="pretrained=a/one")
    write_run(two, {TASK: GOOD}, args="pretrained=a/two")
    for path, said in (
        (other, "no task in common"),
        (apart, "no document in common with"),
        (twice, "line 61: question 4 is there twice"),
        (two, "runs of 2 models, expected one: llava: pretrained=a/one; llava: pretrained=a/two"),
        (tmp_path / "gone", "no such folder"),
    ):
        problems = Problems()
        assert compare_runs([one, path], 5, problems).differences == ()
        assert said in problems.lines[0] and str(path.parent) in problems.lines[0]


def test_the_command_prints_a_table_or_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [
        str(write_run(tmp_path / name, {TASK: held}).parent)
        for name, held in (("a", BAD), ("b", GOOD))
    ]
    cli.main(["compare", *runs, "--draws", "5", "--quiet"])
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert printed.splitlines()[0].split() == "task metric n A B B - A 95% interval p".split()
    assert TEST in printed
    cli.main(["compare", *runs, "--draws", "5", "--quiet", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record["test"] == TEST
    assert {row["task"] for row in record["differences"]} == {TASK}
