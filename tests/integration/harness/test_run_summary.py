"""The few lines about a run that come last on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, run_command
from metrics.making import NOISE, open_document, yes_no_document
from msgspec.structs import replace
from scipy import stats

from vlm_confidence_tasks.harness.run_summary import SHOWN, Change, change, clean_side, summary
from vlm_confidence_tasks.metrics import Answers, Sample

IMAGES = 40
HEAD = "Clean -> perturbed"


def table(documents: Iterable[Sample], images: int = 1000) -> Answers:
    """The documents, each about an image of its own, or about few."""
    return Answers.of(
        replace(document, image_id=f"image {n % images}", question_id=f"{n}")
        for n, document in enumerate(documents)
    )


def captions(clean: Sequence[float], perturbed: Sequence[float], images: int = 1000) -> Answers:
    """Entropies of answers that are neither right nor wrong."""
    pairs = zip(clean, perturbed, strict=True)
    made = (open_document(None, ("x", None, a), [("x", None, b)]) for a, b in pairs)
    return table(made, images)


def answers(clean: Sequence[bool], perturbed: Sequence[bool]) -> Answers:
    """Answers that are right or wrong, all certain; where wrong the entropy is higher."""

    def said(right: bool, n: int) -> tuple[str, float, float, float]:
        return ("Yes", 0.1 + n / 1e4, 1.0, 1.0) if right else ("No", 0.9, 0.0, 1.0)

    pairs = enumerate(zip(clean, perturbed, strict=True))
    return table(yes_no_document("Yes", said(a, n), [(NOISE, *said(b, n))]) for n, (a, b) in pairs)


def lines_of(output: str) -> list[str]:
    """The lines of the summary in what a command wrote."""
    lines = output.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(HEAD))
    return lines[first : lines.index("", first)]


def cells(line: str) -> list[list[str]]:
    """The columns after the name and the sizes: the numbers of each and its mark."""
    return [cell.split("->") for cell in line.split()[3:]]


def test_what_engines_said_of_answers_is_a_line_for_each_kind() -> None:
    one, two = (yes_no_document("Yes", ("Yes",), [(NOISE, "Yes")]) for _ in range(2))
    open_one = replace(two.clean, confidence_low=0.5, confidence_high=0.9)
    held = Answers.of([one, replace(two, clean=open_one, question_id="2")])
    assert summary({"x": held}).splitlines()[-1:] == [
        "1 of 1 answers have bounds too far apart for a confidence: calibration is of the others "
        "(confidence_open)"
    ]
    kinds = {"refused": True, "truncated": True, "filtered": True, "other_model": "another"}
    lines = []
    for kind, said in kinds.items():
        told, not_told = (
            replace(one, clean=replace(one.clean, **{"refused": False, **more}))
            for more in ({kind: said}, {})
        )
        (line,) = summary({"x": Answers.of([told]), "y": Answers.of([not_told])}).splitlines()[-1:]
        lines.append(line)
    # In the order of kinds, of the tasks in which it happened.
    assert lines == [
        "1 of 2 answers are refusals (refusal_rate)",
        "1 of 2 answers were cut off at the limit of tokens (truncated_rate)",
        "1 of 2 answers were withheld by a content filter, whole or in part (filtered_rate)",
        "1 of 2 answers came from another model than was asked (other_model_rate)",
    ]


def test_a_change_is_marked_where_student_finds_one() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(1.0, 0.1, IMAGES)
    seen = set()
    for shift in (-0.5, -0.03, 0.0, 0.002, 0.4):
        after = before + shift + rng.normal(0.0, 0.05, IMAGES)
        found = change("entropy", captions(before, after))
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
    held = answers([True] * IMAGES, right)
    assert change("accuracy", held) == Change(1.0, 1 - wrong / IMAGES, marked)
    found = change("ece", held)
    assert (found.clean, found.excludes_zero) == (0.0, marked)
    assert found.perturbed == pytest.approx(wrong / IMAGES)


def test_nothing_is_marked_of_under_five_images() -> None:
    few = captions([0.1, 0.2, 0.1, 0.2], [9.1, 9.2, 9.0, 9.3])
    assert change("entropy", few).excludes_zero is None
    # Twenty documents on four images are four observations.
    moved = np.linspace(1.0, 1.1, 20)
    assert change("entropy", captions([0.0] * 20, moved)).excludes_zero
    assert change("entropy", captions([0.0] * 20, moved, images=4)).excludes_zero is None


def test_what_was_not_tested_is_no_missing_star() -> None:
    few = captions([0.1, 0.2, 0.1, 0.2], [9.1, 9.2, 9.0, 9.3])
    _, _, row, *feet = summary({"few": few}).splitlines()
    assert row.split() == ["few", "4/4", *"-----", "0.150->9.150?"]
    assert feet[0].startswith("?: no test of that change: too few images, or one decides it")
    # One image decides all of the change.
    one = captions([0.1] * IMAGES, [0.1] * (IMAGES - 1) + [9.1])
    assert summary({"one": one}).splitlines()[2].endswith("0.100->0.325?")
    tested = captions([0.1] * IMAGES, np.linspace(0.2, 0.3, IMAGES))
    assert "?" not in summary({"many": tested})


@pytest.mark.parametrize(("parsed", "side"), [(20, "perturbed"), (20, "clean"), (54, "")])
def test_answers_that_name_no_label_are_on_the_line_and_warned_of(parsed: int, side: str) -> None:
    read, not_read = ("Yes", 0.1, 1.0, 1.0), (None, 0.1, None, None)

    def said(of: str, n: int) -> tuple:
        return not_read if n >= parsed and of == (side or "perturbed") else read

    held = table(
        (
            yes_no_document("Yes", said("clean", n), [(NOISE, *said("perturbed", n))])
            for n in range(60)
        ),
        images=30,
    )
    lines = summary({"pope": held}).splitlines()
    shown = {"perturbed": "0.667", "clean": "0.000", "": "0.100"}[side]
    assert lines[1].split()[:3] == ["task", "doc/img", "invalid"]
    assert lines[2].split()[:3] == ["pope", "60/30", shown]
    name = "invalid_rate_clean" if side == "clean" else "invalid_rate"
    warned = (
        f"warning: pope: 67% of answers to {side} images name no label ({name}): confidence and "
        "ece are of the others"
    )
    assert [line for line in lines if "warning" in line] == ([warned] if side else [])


def test_flips_have_no_clean_side_and_no_mark() -> None:
    held = answers([True] * IMAGES, [False] * IMAGES)
    assert change("ifr", held) == Change(None, 1.0)
    assert {name for name in SHOWN if clean_side(name) is None} == {"ifr"}


def test_what_is_missing_is_a_dash_and_a_task_without_numbers_no_line() -> None:
    held = {"captions": captions([0.1] * IMAGES, [0.2] * IMAGES), "nothing": Answers.of([])}
    (_, _, row, *_) = summary(held).splitlines()
    assert row.split() == ["captions", "40/40", *"-----", "0.100->0.200?"]
    assert summary({"none": Answers.of([])}) == summary({}) == ""


def test_a_change_that_three_decimals_do_not_show_is_not_marked() -> None:
    clean = np.linspace(0.2, 0.3, IMAGES)
    for shift, mark in ((1e-5, ""), (1e-3, "*")):
        moved = clean + np.linspace(0.9, 1.1, IMAGES) * shift
        held = captions(clean, moved)
        assert change("entropy", held).excludes_zero
        assert summary({"task": held}).splitlines()[2].endswith(f"->{0.25 + shift:.3f}{mark}")


def test_long_names_stand_alone_and_no_line_has_more_than_100_columns() -> None:
    rows = answers([True] * IMAGES, [False] * IMAGES)
    longest = "amber_attribute_textoverlay_random"
    lines = summary({longest: rows, "pope_eps0.3": rows}).splitlines()
    assert max(map(len, lines)) <= 100 and lines[3].endswith("*")
    assert lines[2] == longest
    # The columns stand under each other.
    assert {line.index("->") for line in (lines[3], lines[4])} == {lines[4].index("->")}


def test_a_run_of_our_command_ends_with_these_lines(sweep: Run) -> None:
    _, head, *rows, sizes, _ = lines_of(sweep.output)
    assert head.split() == ["task", "doc/img", "invalid", *SHOWN]
    rows, untested = [row for row in rows if "->" in row], [row for row in rows if "->" not in row]
    assert sizes.startswith("doc/img: ") and len(untested) == ("?:" in sweep.output)
    assert sweep.output.index(HEAD) > sweep.output.rindex("|Filter|")
    assert sweep.output.count(HEAD) == 1
    shown = {row.split()[0]: cells(row) for row in rows}
    assert shown.keys() == sweep.results["configs"].keys()
    for task, columns in shown.items():
        numbers = sweep.numbers(task)
        for name, column in zip(SHOWN, columns, strict=True):
            sides = [side for side in (clean_side(name), name) if side is not None]
            expected = [f"{numbers[side]:.3f}" for side in sides if side in numbers] or ["-"]
            assert [text.rstrip("*?") for text in column] == expected, (task, name)


def test_the_harness_own_command_prints_them_before_its_table_and_without_samples(
    tmp_path: Path,
) -> None:
    command = ["lmms-eval", "--model", "tiny_llava", "--tasks", "pope_eps0.3", "--limit", "2"]
    done = run_command(command, tmp_path)
    _, _, row, *_ = lines_of(done.output)
    assert row.split()[:2] == ["pope_eps0.3", "2/1"]
    assert done.output.index(HEAD) < done.output.index("|Filter|")
    # Two questions about one image.
    assert "*" not in row


def test_an_evaluation_from_python_prints_nothing(
    evaluate: Callable[..., dict], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("pope_eps0.3")
    assert HEAD not in capsys.readouterr().out
