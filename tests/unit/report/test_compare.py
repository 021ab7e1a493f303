"""Two runs on the documents both answered."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from metrics.making import values
from msgspec.structs import replace

import comparison_error_rate
from report.synthetic import Answers, Asked, answers, noise, questions, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.metrics import holm, mean_p, metrics_for, rate_interval
from vlm_confidence_tasks.report.compare import (
    EQUIVALENCE,
    TEST,
    Comparison,
    Difference,
    compare_runs,
    to_record,
    to_text,
)
from vlm_confidence_tasks.report.inputs.problems import Problems

TASK = "pope_eps0.3"
ASKED = questions(60, images=11)
BAD = answers(ASKED, [noise(0.3)], seed=1, skill=0.0)
GOOD = answers(ASKED, [noise(0.3)], seed=2, skill=4.0)


def written(folder: Path, *held: Answers) -> list[Path]:
    """A run of each of some answers to the task."""
    return [write_run(folder / f"run{n}", {TASK: one}) for n, one in enumerate(held)]


def compared(folder: Path, *held: Answers) -> Comparison:
    """Two runs, of which nothing is a problem."""
    problems = Problems()
    found = compare_runs(written(folder, *held), problems)
    assert problems.lines == []
    return found


def rows_of(found: Comparison) -> dict[str, Difference]:
    return {row.metric: row for row in found.differences}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A bad run and a good one."""
    return compared(tmp_path_factory.mktemp("both"), BAD, GOOD)


def test_differences_equal_those_of_the_metrics_on_common_documents(tmp_path: Path) -> None:
    found = compared(tmp_path, BAD[:50], GOOD[10:][::-1])
    a, b = (values([d for _, d in held[10:50]]) for held in (BAD, GOOD))
    rows = rows_of(found)
    known = metrics_for(["noise"])
    assert rows.keys() == {name for name in a.keys() & b.keys() if known[name].statistic.estimates}
    for name, row in rows.items():
        assert (row.a, row.b) == pytest.approx((a[name], b[name]), abs=1e-12)
        assert row.difference == row.b - row.a and row.documents == 40
    assert found.notes == (f"{TASK}: 40 documents in common, of 50 and 50",)


def test_categories_that_number_their_questions_alike_are_told_apart(tmp_path: Path) -> None:
    asked = [Asked(str(n % 20), f"image{n % 5}", category="ab"[n // 20]) for n in range(40)]
    held = [answers(asked, [noise(0.3)], seed=seed) for seed in (1, 2)]
    # The other run has the categories in the other order, and lacks the last of its rows.
    found = compared(tmp_path, held[0], (held[1][20:] + held[1][:20])[:-1])
    assert found.notes == (f"{TASK}: 39 documents in common, of 40 and 39",)
    both = [n for n in range(40) if n != 19]
    expected = [values([run[n][1] for n in both])["accuracy"] for run in held]
    row = rows_of(found)["accuracy"]
    assert (row.a, row.b) == pytest.approx(expected, abs=1e-12)


def test_interval_and_test_of_accuracy(both: Comparison) -> None:
    row = rows_of(both)["accuracy"]
    right = [[float(d.variants[0].correct) for _, d in held] for held in (BAD, GOOD)]
    images = [d.image_id for _, d in BAD]
    side = np.repeat([False, True], len(images))
    expected = rate_interval(right[0] + right[1], [1] * 120, images * 2, paired=side)
    assert (row.difference, row.low, row.high) == pytest.approx(
        (expected.estimate, expected.low, expected.high)
    )
    assert 0 < row.low < row.high
    # p is the level of the interval that ends at 0.
    ending = rate_interval(right[0] + right[1], [1] * 120, images * 2, paired=side, level=1 - row.p)
    assert ending.low == pytest.approx(0, abs=1e-3 * row.high) and row.p < 0.05


def test_p_is_of_the_difference_that_is_shown(tmp_path: Path) -> None:
    """Documents weigh by their variants in both: one of many variants decides the sign."""
    variants = [noise(epsilon) for epsilon in (0.1, 0.2, 0.3, 0.4, 0.5)]
    held = []
    for seed in (1, 2):
        many = answers(questions(20, images=20), variants, seed=seed)
        few = [Asked(f"x{n}", f"image{n + 20}") for n in range(20)]
        held.append(many + answers(few, variants[:1], seed=seed))
    row = rows_of(compared(tmp_path, *held))["entropy"]
    sums = [
        sum(d.variants[n].entropy - c.variants[n].entropy for n in range(len(c.variants)))
        for (_, c), (_, d) in zip(*held, strict=True)
    ]
    counts = [len(d.variants) for _, d in held[0]]
    assert row.difference == pytest.approx(sum(sums) / sum(counts))
    # Images in the order of their names, as tables number them.
    images = [d.image_id for _, d in held[0]]
    assert row.p == pytest.approx(mean_p(sums, counts, images))
    assert (row.p < 0.05) == (not row.low <= 0 <= row.high)


def test_a_difference_that_one_image_decides_says_so_and_has_no_p(both: Comparison) -> None:
    row = rows_of(both)["entropy"]
    assert row.influence > 0.3 and row.p is None and row.low < row.high
    (line,) = (line for line in to_text(both).splitlines() if " entropy " in line)
    assert line.endswith("] (one image decides)")


def test_means_over_other_answers_to_the_same_documents_have_no_p(tmp_path: Path) -> None:
    """Where an answer is unparsed in one run, the difference is no mean of differences."""
    variants = [noise(0.1), noise(0.3)]
    held = answers(ASKED, variants, seed=3)
    first = next(n for n, (_, d) in enumerate(held) if all(r.answer for r in d.variants))
    asked, document = held[first]
    silent = replace(document.variants[0], answer=None, confidence=None, correct=False)
    changed = replace(document, variants=(silent, document.variants[1]))
    other = [*held[:first], (asked, changed), *held[first + 1 :]]
    rows = rows_of(compared(tmp_path, held, other))
    assert rows["confidence"].difference != 0 and rows["confidence"].p is None
    assert rows["invalid_rate"].p is not None


def test_every_p_is_adjusted_for_all_of_the_comparison(tmp_path: Path) -> None:
    """Over tasks and metrics."""
    tasks = [{"t": BAD, "u": GOOD}, {"t": GOOD, "u": answers(ASKED, [noise(0.3)], seed=5)}]
    runs = [write_run(tmp_path / name, held) for name, held in zip("ab", tasks, strict=True)]
    found = compare_runs(runs, Problems())
    rows = [row for row in found.differences if row.p is not None]
    assert {row.task for row in rows} == {"t", "u"} and found.tests == len(rows) > 20
    assert [row.p_holm for row in rows] == holm([row.p for row in rows])
    assert all(row.p_holm is None for row in found.differences if row.p is None)
    assert f"adjusted for all {len(rows)} in this comparison" in to_text(found)
    assert to_record(found)["tests"] == len(rows)


def surer(held: Answers, by: float) -> Answers:
    """The same answers with other confidences: `by` more, a little less or more by document."""
    changed = []
    for n, (asked, document) in enumerate(held):
        (readout,) = document.variants
        if readout.confidence is not None:
            confidence = 0.9 * readout.confidence + by + (0.002 * (-1) ** n if by else 0.0)
            readout = replace(readout, confidence=confidence)
        changed.append((asked, replace(document, variants=(readout,))))
    return changed


@pytest.mark.parametrize(
    ("by", "verdict"),
    [(1e-4, "equal within 0.0100"), (0.005, "differs by under 0.0100"), (-0.02, "differs")],
)
def test_the_verdict_is_of_both_adjusted_p(tmp_path: Path, by: float, verdict: str) -> None:
    held = answers(questions(120, images=120), [noise(0.3)])
    found = compared(tmp_path, surer(held, 0.0), surer(held, by))
    row = rows_of(found)["confidence"]
    assert (row.verdict, row.smallest_effect) == (verdict, 0.01)
    assert (row.p_equal_holm < 0.05) == (abs(by) < 0.01)
    (line,) = (line for line in to_text(found).splitlines() if " confidence  " in line)
    assert line.endswith(f"  {verdict}")


def test_a_p_of_equivalence_is_the_interval_against_the_smallest_effect(both: Comparison) -> None:
    """Adjusted for all of them, tasks and metrics."""
    rows = [row for row in both.differences if row.p_equal is not None]
    assert len(rows) == both.equivalence_tests > 20
    assert [row.p_equal_holm for row in rows] == holm([row.p_equal for row in rows])
    for row in both.differences:
        inside = row.low is not None and -0.01 < row.low and row.high < 0.01
        if row.smallest_effect == 0.01 and row.p_equal is not None:
            assert (row.p_equal < 0.05) == inside
        # Means that one image decides, and what has no smallest effect.
        deciding = row.influence is not None and row.influence > 0.3
        assert row.p_equal is None or not deciding and row.smallest_effect is not None
    assert rows_of(both)["nll"].smallest_effect is None


def test_numbers_that_estimate_nothing_are_not_subtracted(both: Comparison) -> None:
    shown = rows_of(both).keys()
    left_out = {"entropy_delta_p", "entropy_delta_wilcoxon_p", "ece_p", "ece_floor_clean", "mce"}
    assert shown.isdisjoint(left_out) and {"ece", "entropy_delta"} <= shown
    assert left_out <= values([d for _, d in GOOD]).keys()


def test_an_ece_stands_with_the_floors_of_both_runs(both: Comparison) -> None:
    floors = [values([d for _, d in held])["ece_floor_clean"] for held in (BAD, GOOD)]
    row = rows_of(both)["ece_clean"]
    assert [row.floor_a, row.floor_b] == floors
    (line,) = (line for line in to_text(both).splitlines() if " ece_clean " in line)
    for value, floor in ((row.a, row.floor_a), (row.b, row.floor_b)):
        assert f"{value:.4f} (floor {floor:.4f})" in line
    assert all(r.floor_a is None for r in both.differences if "ece" not in r.metric)


def test_only_0_looks_like_0_and_without_a_sign() -> None:
    row = Difference("t", "ece", 9, -0.0, 2e-5, -0.0, -2e-5, 0.01, None, None)
    text = to_text(Comparison((row,), ()))
    cells = text.splitlines()[3].split("  ")[-4:]
    assert cells == ["0.0000", "2.0e\u221205", "0.0000", "[\u22122.0e\u221205, +0.0100]"]
    assert "-0" not in text


def test_the_readme_names_every_key_of_the_record() -> None:
    readme = (Path(__file__).parents[3] / "docs" / "leaderboard" / "README.md").read_text()
    named = set(re.findall(r"`(\w+)`", readme))
    assert {field.name for field in fields(Difference)} <= named
    assert to_record(Comparison((), ())).keys() <= named


def test_a_run_against_itself_has_no_difference(tmp_path: Path) -> None:
    run = write_run(tmp_path, {TASK: GOOD})
    for row in compare_runs([run, run], Problems()).differences:
        assert row.difference == 0 and row.p is None and row.p_holm is None
        assert row.low is None or row.low <= 0 <= row.high


def test_metrics_over_different_documents_have_no_p(both: Comparison) -> None:
    rows = rows_of(both)
    assert rows["right_to_wrong"].p is None and rows["ece"].p is None
    assert rows["accuracy"].p is not None


def test_settings_that_differ_are_noted(tmp_path: Path) -> None:
    (note,) = compared(tmp_path, GOOD, answers(ASKED, [noise(0.5)])).notes
    assert "perturbations differs" in note and "0.3" in note and "0.5" in note


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ((60, 60), ("A has --limit 60", "B has --limit 60")),
        ((None, 60), ("B has --limit 60",)),
        ((60, None), ("A has --limit 60",)),
    ],
)
def test_parts_of_the_data_are_noted_on_either_side(
    tmp_path: Path, limits: tuple[float | None, ...], said: tuple[str, ...]
) -> None:
    runs = [
        write_run(tmp_path / side, {TASK: held}, limit=limit)
        for side, held, limit in zip("ab", (BAD, GOOD), limits, strict=True)
    ]
    notes = tuple(f"{TASK}: {one}: part of the data only" for one in said)
    assert compare_runs(runs, Problems()).notes == notes


def test_tasks_of_one_run_only_are_noted(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", {TASK: GOOD, "pope_blur": GOOD})
    other = write_run(tmp_path / "b", {TASK: BAD, "pope_jpeg": BAD})
    notes = compare_runs([one, other], Problems()).notes
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
        assert compare_runs([one, path], problems).differences == ()
        assert said in problems.lines[0] and str(path.parent) in problems.lines[0]


def test_the_command_prints_a_table_or_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(path.parent) for path in written(tmp_path, BAD, GOOD)]
    cli.main(["compare", *runs, "--quiet"])
    printed, errors = capsys.readouterr()
    assert errors == ""
    head, _, columns = printed.splitlines()[:3]
    assert columns.split() == "task metric n A B B - A 95% interval p Holm verdict".split()
    assert TEST in printed and EQUIVALENCE in printed
    cli.main(["compare", *runs, "--quiet", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert (record["test"], record["equivalence"]) == (TEST, EQUIVALENCE)
    ends = [(row["low"], row["high"]) for row in record["differences"] if row["low"] is not None]
    excluding = sum(low > 0 or high < 0 for low, high in ends)
    by_chance = round(len(ends) / 20, 1)
    assert record["chance"] == dict(
        intervals=len(ends), excluding_zero=excluding, by_chance=by_chance
    )
    assert excluding > 5 and head == (
        f"{len(ends)} intervals of 95%: if nothing differed, about {by_chance} would exclude 0 by "
        f"chance; {excluding} do."
    )
    assert {row["task"] for row in record["differences"]} == {TASK}


@pytest.mark.parametrize(("moved", "tested"), [(2e-6, False), (2e-5, True)])
def test_rounding_that_has_one_direction_is_no_difference(
    tmp_path: Path, moved: float, tested: bool
) -> None:
    def surer(readout, by):
        return replace(readout, entropy=readout.entropy + by)

    held = answers(questions(60, images=30), [noise(0.3)])
    again = [
        (asked, replace(d, variants=(surer(d.variants[0], moved * (0.9 + 0.2 * (n % 2))),)))
        for n, (asked, d) in enumerate(held)
    ]
    rows = rows_of(compared(tmp_path, held, again))
    assert rows["entropy"].difference == pytest.approx(moved, rel=1e-3)
    assert (rows["entropy"].p is not None) == tested
    assert not tested or rows["entropy"].p < 0.01


def test_where_labels_are_swapped_no_more_is_found_than_by_chance() -> None:
    """All answers about an image are swapped together, so that nothing differs."""
    runs = [[d for _, d in answers(ASKED, [noise(0.3)], seed=seed)] for seed in (1, 2)]
    found = [*comparison_error_rate.nulls(runs, 8)]
    values = [(row["accuracy"].a, row["accuracy"].b) for row in map(rows_of, found)]
    assert len(set(values)) > 1 and len({round(a + b, 9) for a, b in values}) == 1
    chance = [comparison.chance for comparison in found]
    excluding = sum(each["excluding_zero"] for each in chance)
    assert excluding < 3 * sum(each["by_chance"] for each in chance)
    said = comparison_error_rate.of_nulls(found)
    assert f"of which {excluding / 8:.1f}" in said and "of 8 comparisons" in said


def test_equality_is_rarely_found_of_a_difference_of_the_smallest_effect() -> None:
    """By the interval of `compare`; the narrower one of 90% is wrong of skewed numbers."""
    skewed = partial(comparison_error_rate.called_equal, "lognormal, sigma 2", 1, 300, studies=300)
    narrow, taken = (skewed(level=level).mean() for level in comparison_error_rate.LEVELS)
    assert narrow > 0.1 > taken
