"""Copies: one set of answers under several names, in every command, and what is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from report.claimed import invariance, stated, write
from report.synthetic import LABELS, answers, noise, questions, write_run
from report.synthetic import Answers as Held
from report.test_claims import judged, of_claim
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.metrics import Answers
from vlm_confidence_tasks.report.claims.effects import Measured, _slope_weights, flips_by_size
from vlm_confidence_tasks.report.inputs.copies import Agreement, Signature, agreement
from vlm_confidence_tasks.types import Readout, Sample

TASK = "pope_eps0.3"
ASKED = questions(60, images=60)
HELD = answers(ASKED, [noise(0.3)])
NUMBERS = ("entropy", "entropy_answer", "logprob", "margin", "confidence", "answer_mass")
Change = Callable[[Readout], Readout]


def flipped(readout: Readout) -> Readout:
    """The other answer, with the numbers of the first."""
    said = LABELS[readout.answer == "Yes"]
    sure = 0.5 if readout.confidence is None else readout.confidence
    return replace(readout, answer=said, text=said, confidence=sure, correct=not readout.correct)


def moved(by: float) -> Change:
    def move(readout: Readout) -> Readout:
        numbers = {name: getattr(readout, name) for name in NUMBERS}
        return replace(readout, **{k: v + by for k, v in numbers.items() if v is not None})

    return move


def without_numbers(readout: Readout) -> Readout:
    return replace(readout, **dict.fromkeys((*NUMBERS, "gold_margin", "probs", "token_entropy")))


def always(said: str, entropy: float) -> Change:
    """A model that says one thing of every image, in numbers that no image changes."""

    def say(readout: Readout) -> Readout:
        plain = without_numbers(readout)
        return replace(plain, text=said, answer=said, correct=True, entropy=entropy)

    return say


def changed(held: Held, change: Change, count: int | None = None) -> Held:
    """Some answers, of which those to the first documents are changed, all by default."""
    count = len(held) if count is None else count
    return [
        (asked, replace(d, clean=change(d.clean), variants=tuple(map(change, d.variants))))
        if n < count
        else (asked, d)
        for n, (asked, d) in enumerate(held)
    ]


def signature(held: Held) -> Signature:
    samples = [
        replace(d, question_id=asked.question_id, category=asked.category) for asked, d in held
    ]
    return Signature.of(samples, Answers.of(samples))


def agreed(one: Held, other: Held) -> Agreement:
    found = agreement(signature(one), signature(other))
    assert found == agreement(signature(other), signature(one))
    return found


MANY = answers(questions(3000, images=500), [noise(0.3)])
SURE = changed(HELD, always("Yes", 0.0))
MUTE = changed(HELD, without_numbers)
OTHERS = answers(ASKED, [noise(0.3)], seed=1)


def surest(but: Held) -> Held:
    """A model that saturates in all documents but two, where its numbers are those of another."""
    return [*SURE[:-2], *but[-2:]]


@pytest.mark.parametrize(
    ("one", "other", "documents", "agree", "is_copy"),
    [
        (HELD, HELD, 60, 60, True),
        (HELD, HELD[::-1], 60, 60, True),
        (HELD, HELD[10:50], 40, 40, True),
        (HELD, changed(HELD, moved(5e-6)), 60, 60, True),
        (HELD, changed(HELD, moved(5e-4)), 60, 0, False),
        (HELD, changed(HELD, flipped, 2), 60, 58, True),
        (HELD, changed(HELD, flipped, 3), 60, 57, False),
        (MANY, changed(MANY, flipped, 2)[::-1], 3000, 2998, True),
        (MANY, changed(MANY, flipped, 3), 3000, 2997, False),
        (HELD, HELD[:1], 1, 1, True),
        (HELD[:2], changed(HELD[:2], flipped), 2, 0, False),
        (HELD[:30], HELD[30:], 0, 0, False),
        # Models that answer "Yes" whatever they see.
        (SURE, changed(HELD, always("Yes", 0.001)), 60, 0, False),
        (SURE, changed(SURE, lambda readout: replace(readout, text="yes")), 60, 60, False),
        (SURE, SURE[::-1], 60, 60, True),
        (surest(HELD), surest(OTHERS), 60, 58, False),
        (surest(HELD), surest(HELD), 60, 60, True),
        # Without numbers equal answers are no copy, equal samples are.
        (MUTE, changed(MUTE, lambda readout: replace(readout, logprob=-0.5)), 60, 0, False),
        (MUTE, changed(MUTE, flipped, 1), 60, 59, False),
        (MUTE, MUTE[::-1], 60, 60, True),
    ],
)
def test_a_copy_is_told_by_its_numbers_and_a_like_model_is_none(
    one: Held, other: Held, documents: int, agree: int, is_copy: bool
) -> None:
    assert agreed(one, other) == Agreement(documents, agree, is_copy)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_answers_are_no_copy(seed: int) -> None:
    found = agreed(HELD, answers(ASKED, [noise(0.3)], seed=seed))
    assert not found.is_copy and found.agree == 0


def test_numbers_of_a_broken_file_break_nothing() -> None:
    huge = changed(HELD, lambda readout: replace(readout, entropy=1e300, logprob=-1e300))
    assert agreed(huge, huge).is_copy and not agreed(huge, HELD).is_copy


def board(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], list[str]]:
    output = folder / "out"
    options = ["--no-intervals", "--no-figures", "--workers", "1", "--quiet"]
    with pytest.raises(SystemExit) as ended:
        cli.main(["leaderboard", str(folder / "runs"), "--output", str(output), *options])
    assert ended.value.code == 1
    said = capsys.readouterr().err.splitlines()
    return json.loads((output / "leaderboard.json").read_text()), said


def test_a_leaderboard_names_a_copy_and_counts_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {
        "pretrained=org/a": {TASK: HELD},
        "pretrained=org/a,dtype=float16": {TASK: changed(HELD, moved(5e-6))},
        "pretrained=org/b": {TASK: OTHERS},
        # The same under other names: as it is, in another order and changed, in a part of a task.
        "pretrained=org/c": {TASK: HELD[::-1], "pope": OTHERS},
        "pretrained=org/d": {TASK: changed(HELD, flipped, 2)},
        "pretrained=org/e": {TASK: HELD[:50]},
    }
    for args, tasks in runs.items():
        write_run(tmp_path / "runs", tasks, args=args)
    record, said = board(tmp_path, capsys)
    shown = [(entry["model"], entry["task"]) for entry in record["entries"]]
    declared = "org/a (dtype=float16)"
    assert shown == [
        *(("org/a", TASK), (declared, TASK), ("org/b", TASK), ("org/c", "pope"), ("org/e", TASK))
    ]
    assert len(record["problems"]) == 2
    for name, line, agree in zip("cd", record["problems"], (60, 58), strict=True):
        assert f"answers and numbers of llava: pretrained=org/{name} are those of" in line
        assert "pretrained=org/a (/" in line and f" in {agree} of 60 documents: a copy" in line
        assert any(line in each for each in said)
    notes = [line for line in said if line.startswith("vlm-confidence: note: ")]
    assert len(notes) == 2
    assert "of llava: dtype=float16,pretrained=org/a are" in notes[0]
    assert "org/e are those of" in notes[1] and notes[1].endswith("in 50 of 50 documents")


def test_engines_are_declared_by_the_name_of_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [("llava", "pretrained=org/a"), ("vllm", "model=org/a"), ("vllm", "model=org/b")]
    runs.append(("llava", "pretrained=org/a,revision=x"))
    for n, (model, args) in enumerate(runs):
        write_run(tmp_path / "runs" / str(n), {TASK: HELD}, model=model, args=args)
    record, _ = board(tmp_path, capsys)
    assert [(model["adapter"], model["args"]) for model in record["models"]] == [
        ("llava", {"pretrained": "org/a"}),
        ("vllm", {"model": "org/a"}),
    ]


def test_a_comparison_says_at_its_head_that_one_run_is_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = [{TASK: HELD, "u": HELD, "v": HELD}, {TASK: HELD[::-1], "u": OTHERS, "v": HELD[5:]}]
    runs = [str(write_run(tmp_path / side, one)) for side, one in zip("ab", held, strict=True)]
    cli.main(["compare", *runs, "--quiet"])
    head, chance, blank, columns, *_ = capsys.readouterr().out.splitlines()
    assert head.startswith("A and B have the same answers and numbers, as ") and blank == ""
    assert " intervals of 95%: " in chance
    assert head.endswith(f" has: {TASK} (60 of 60 documents), v (55 of 55 documents).")
    assert columns.startswith("task")
    cli.main(["compare", *runs, "--quiet", "--json"])
    copies = json.loads(capsys.readouterr().out)["copies"]
    assert copies == [f"{TASK} (60 of 60 documents)", "v (55 of 55 documents)"]


def test_claims_count_a_copy_neither_as_a_model_nor_as_a_size(tmp_path: Path) -> None:
    """Once a run of its own, then the same with copies under other names beside it."""
    task, made = "pope_invariance", invariance({"rotation": 0.2, "translation": 0.1})
    records = []
    for names in (["org/m-1b"], ["org/m-1b", "org/m-2b", "org/m-4b"]):
        folder = tmp_path / str(len(names))
        for name in names:
            write(folder / "runs", {task: made[:: 1 if name == names[0] else -1]}, name)
        records.append(judged(folder))
    alone, beside = records
    assert (alone["tests"], alone["tested_claims"]) == (beside["tests"], beside["tested_claims"])
    drift = [of_claim(record, 5)[0]["parts"][0] for record in records]
    assert drift[0] == drift[1] and drift[0]["effect"] is not None
    (sizes,) = of_claim(beside, 6)
    lines = [
        f"org/m-{n}b, {task}: answers and numbers are those of org/m-1b in 120 of 120 documents: "
        "a copy is not counted"
        for n in (2, 4)
    ]
    assert sizes["verdict"] == "not measured" and sizes["commands"] == []
    assert sizes["parts"][0]["missing"] == "; ".join(lines)
    assert beside["notes"] == lines
    # No row of another model has a number.
    assert all(p["effect"] is None for s in of_claim(beside, 5)[1:] for p in s["parts"])


def test_a_training_that_left_every_answer_is_not_measured(tmp_path: Path) -> None:
    names = ("pope_verbal3", "pope_blur_verbal3", "pope_lowlight_verbal3")
    for model in ("org/plain", "org/csp"):
        write(tmp_path / "runs", {name: stated(0.8, 0.3, 0.05) for name in names}, model)
    record = judged(tmp_path, "--before", "org/plain", "--after", "org/csp")
    (said,) = of_claim(record, 9)
    assert said["verdict"] == "not measured" and said["commands"] == []
    assert all("are those of org/csp in 120 of 120" in p["missing"] for p in said["parts"])
    assert len(record["notes"]) == 3


def altered(held: Held, first: int, count: int) -> Held:
    """Another perturbed answer to some documents."""

    def alter(d: Sample) -> Sample:
        return replace(d, variants=(flipped(d.variants[0]), *d.variants[1:]))

    chosen = range(first, first + count)
    return [(asked, alter(d) if n in chosen else d) for n, (asked, d) in enumerate(held)]


@pytest.mark.parametrize("images", [15, 60, 1000])
@pytest.mark.parametrize("count", [1, 2])
def test_sizes_that_differ_in_two_answers_support_nothing(
    tmp_path: Path, images: int, count: int
) -> None:
    """Numbers that tell nothing: the same confidence of every answer."""
    made = invariance({"rotation": 0.2}, images=images)
    for n in range(3):
        task = {"pope_invariance": altered(made, 7 * n, count * (n > 0))}
        write(tmp_path / "runs", task, f"org/m-{2**n}b")
    (said,) = of_claim(judged(tmp_path), 6)
    assert said["verdict"] == "undecided at this sample"
    assert said["parts"][0]["effect"] is not None


def test_sizes_of_which_the_middle_one_alone_flips_have_no_slope(tmp_path: Path) -> None:
    """Its weight is 0 but for rounding, which is no effect."""
    for name, rate, drift in (("2.3b", 0.0, 0.8), ("4.6b", 0.5, 0.8), ("9.2b", 0.0, 0.7)):
        made = {"pope_invariance": invariance({"rotation": rate}, drift)}
        write(tmp_path / "runs", made, f"m-{name}")
    (said,) = of_claim(judged(tmp_path), 6)
    assert said["verdict"] == "undecided at this sample"
    assert said["parts"][0]["effect"] == 0 and said["parts"][0]["low"] is None


def test_equal_flips_have_a_slope_of_exactly_0() -> None:
    """As equal runs have under three names, whatever rounding leaves of the weights' sum."""
    made = invariance({name: 0.3 for name in ("rotation", "translation", "scale")})
    documents = {(asked.question_id, "", ""): d for asked, d in made}
    found = flips_by_size([Measured(documents, size) for size in (7e9, 13e9, 34e9)])
    assert found is not None and found.estimate == 0 and found.at(0.95) is None


@pytest.mark.parametrize("sizes", [(7e9, 13e9, 34e9), (0.8e6, 2.4e6, 3.1e6), (1, 2, 4)])
def test_weights_of_a_slope_sum_to_0(sizes: tuple[float, ...]) -> None:
    weights = _slope_weights(np.log2(sizes).tolist())
    assert abs(weights.sum()) < 1e-15
    assert weights @ np.log2(sizes) == pytest.approx(1)
