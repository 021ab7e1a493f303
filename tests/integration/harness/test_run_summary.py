"""The few lines about a run that come before the harness's table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, run_command
from lmms_eval.tasks import TaskManager
from scipy import stats
from vlm_confidence_tasks.metrics.reducers import Values

from vlm_confidence_tasks.harness.run_summary import (
    NEEDED,
    SHOWN,
    Change,
    change,
    clean_side,
    summary,
)

IMAGES = 40
HEAD = "Clean -> perturbed"


def means(numbers: Sequence[float]) -> Values:
    """Values of a mean, a document an image."""
    return [{"score": x, "n": 1, "image_id": f"image {n}"} for n, x in enumerate(numbers)]


def answers(confidence: float, right: Sequence[bool]) -> Values:
    """Values of a calibration error, likewise."""
    return [
        {"confidence": [confidence], "correct": [int(r)], "image_id": f"image {n}"}
        for n, r in enumerate(right)
    ]


def lines_of(output: str) -> list[str]:
    """The lines of the summary in what a command wrote."""
    lines = output.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(HEAD))
    return lines[first : lines.index("", first)]


def cells(line: str) -> list[list[str]]:
    """The columns after the name: the numbers of each and its mark."""
    found = [cell.split(" -> ") for cell in line.split("  ") if cell][1:]
    return [[part.strip() for part in cell] for cell in found]


def test_a_change_is_marked_where_student_finds_one() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(1.0, 0.1, IMAGES)
    seen = set()
    for shift in (-0.5, -0.03, 0.0, 0.002, 0.4):
        after = before + shift + rng.normal(0.0, 0.05, IMAGES)
        found = change("entropy", {"entropy_clean": means(before), "entropy": means(after)})
        p = stats.ttest_rel(after, before).pvalue
        # The bootstrap and Student may differ where p is next to 0.05.
        assert not 0.02 < p < 0.1
        assert (found.clean, found.perturbed) == pytest.approx((before.mean(), after.mean()))
        assert found.excludes_zero == (p < 0.05)
        seen.add(found.excludes_zero)
    assert seen == {False, True}


@pytest.mark.parametrize(("wrong", "marked"), [(0, False), (1, False), (30, True)])
def test_rates_and_calibration_errors_are_marked_where_most_of_the_images_moved(
    wrong: int, marked: bool
) -> None:
    right = [n >= wrong for n in range(IMAGES)]
    clean = [True] * IMAGES
    rates = {"accuracy_clean": means(clean), "accuracy": means(right)}
    assert change("accuracy", rates) == Change(1.0, 1 - wrong / IMAGES, marked)
    errors = {"ece_clean": answers(1.0, clean), "ece": answers(1.0, right)}
    found = change("ece", errors)
    assert (found.clean, found.excludes_zero) == (0.0, marked)
    assert found.perturbed == pytest.approx(wrong / IMAGES)


def test_nothing_is_marked_of_under_five_images() -> None:
    values = {"entropy_clean": means([0.1, 0.2, 0.1, 0.2]), "entropy": means([9.1, 9.2, 9.0, 9.3])}
    assert not change("entropy", values).excludes_zero


def test_images_not_documents_are_what_counts() -> None:
    """Twenty documents on four images are four observations."""
    of_four = [{**value, "image_id": str(n % 4)} for n, value in enumerate(means([0.0] * 20))]
    moved = [{**value, "score": 1.0} for value in of_four]
    assert not change("entropy", {"entropy_clean": of_four, "entropy": moved}).excludes_zero


def test_flips_have_no_clean_side_and_no_mark() -> None:
    assert change("ifr", {"ifr": means([1.0] * IMAGES)}) == Change(None, 1.0)
    assert {name for name in SHOWN if clean_side(name) is None} == {"ifr"}
    assert {f"{name}_clean" for name in SHOWN if name != "ifr"} | set(SHOWN) == NEEDED


def test_what_is_missing_is_a_dash_and_a_task_without_numbers_no_line() -> None:
    entropies = {"entropy_clean": means([0.1] * IMAGES), "entropy": means([0.2] * IMAGES)}
    (_, _, row, _) = summary({"captions": entropies, "nothing": {}}).splitlines()
    assert row.split() == ["captions", "-", "-", "-", "-", "0.100", "->", "0.200"]
    only_one_side = {"accuracy": means([1.0])}
    assert summary({"one": only_one_side}) == summary({"none": {}}) == summary({}) == ""


def test_a_change_that_three_decimals_do_not_show_is_not_marked() -> None:
    clean = np.linspace(0.2, 0.3, IMAGES)
    for shift, mark in ((1e-5, ""), (1e-3, "*")):
        moved = clean + np.linspace(0.9, 1.1, IMAGES) * shift
        values = {"entropy_clean": means(clean), "entropy": means(moved)}
        assert change("entropy", values).excludes_zero
        assert summary({"task": values}).splitlines()[2].endswith(f" -> {0.25 + shift:.3f}{mark}")


def test_long_names_stand_alone_and_no_line_has_more_than_100_columns() -> None:
    clean, perturbed = np.linspace(0.0, 0.2, IMAGES), np.linspace(0.5, 0.9, IMAGES)
    rows = {name: means(clean if name.endswith("_clean") else perturbed) for name in NEEDED}
    rows |= {name: answers(1.0, [False] * IMAGES) for name in ("ece", "ece_clean")}
    longest = "amber_attribute_textoverlay_random"
    lines = summary({longest: rows, "pope_eps0.3": rows}).splitlines()
    assert max(map(len, lines)) == 100 and lines[3].endswith("*")
    assert lines[2] == longest
    # The columns stand under each other.
    assert {line.index(" -> ") for line in (lines[3], lines[4])} == {lines[4].index(" -> ")}


def test_a_run_ends_with_these_lines_before_the_table(sweep: Run) -> None:
    _, head, *rows, _ = lines_of(sweep.output)
    assert head.split() == ["task", *SHOWN]
    assert sweep.output.index(HEAD) < sweep.output.index("|    Tasks")
    assert sweep.output.count(HEAD) == 1
    shown = {row.split()[0]: cells(row) for row in rows}
    assert shown.keys() == sweep.results["configs"].keys()
    for task, columns in shown.items():
        numbers = sweep.numbers(task)
        for name, column in zip(SHOWN, columns, strict=True):
            sides = [side for side in (clean_side(name), name) if side is not None]
            expected = [f"{numbers[side]:.3f}" for side in sides if side in numbers] or ["-"]
            assert [text.rstrip("*") for text in column] == expected, (task, name)


def test_the_harness_own_command_prints_them_without_samples_too(tmp_path: Path) -> None:
    command = ["lmms-eval", "--model", "tiny_llava", "--tasks", "pope_eps0.3", "--limit", "2"]
    done = run_command(command, tmp_path)
    _, _, row, _ = lines_of(done.output)
    assert row.split()[0] == "pope_eps0.3"
    # Two questions about one image.
    assert "*" not in row


def test_values_are_kept_as_the_samples_gave_them(
    manager: TaskManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not as the harness's standard errors want them."""
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", "sandbox")
    task = manager.load_task_or_group(["pope_eps0.3"])["pope_eps0.3"]
    values = [{"score": 1.0, "n": 3, "image_id": "a"}, {"score": 0.0, "n": 1, "image_id": "b"}]
    given = list(values)
    assert task.aggregation()["accuracy"](given) == 0.75
    assert task.aggregated == {"accuracy": values}
    assert given != values


def test_an_evaluation_from_python_prints_nothing(
    evaluate: Callable[..., dict], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("pope_eps0.3")
    assert HEAD not in capsys.readouterr().out
