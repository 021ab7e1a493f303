"""One process or two, any order, alone or beside other tasks: the same results."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Run, evaluate_command, run_command, same_within, write_pope

TASK = "pope_eps0.3"
EXACT = ("text", "answer", "image_sha256", "variant", "parameters", "seed", "correct")
CLOSE = ("entropy", "logprob", "answer_mass", "confidence", "margin", "gold_margin")


def assert_same_readouts(one: Run, other: Run, tolerance: float) -> None:
    ours, theirs = one.samples(TASK), other.samples(TASK)
    assert ours.keys() == theirs.keys()
    for question, row in ours.items():
        for a, b in zip(row["readouts"], theirs[question]["readouts"], strict=True):
            assert [a[key] for key in EXACT] == [b[key] for key in EXACT]
            for key in CLOSE:
                assert a[key] == pytest.approx(b[key], abs=tolerance, rel=0)


@pytest.fixture(scope="module")
def alone(few_questions: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    command = evaluate_command(TASK, program=["lmms-eval"])
    return run_command(command, tmp_path_factory.mktemp("alone"), few_questions)


def test_alone_and_beside_other_strengths_agree_bit_for_bit(alone: Run, sweep: Run) -> None:
    assert alone.code == sweep.code == 0, alone.output + sweep.output
    assert_same_readouts(alone, sweep, tolerance=0)
    assert alone.numbers(TASK) == sweep.numbers(TASK)


def test_two_processes_agree_with_one(alone: Run, few_questions: Path, tmp_path: Path) -> None:
    launch = ["accelerate", "launch", "--cpu", "--num_processes", "2", "-m", "lmms_eval"]
    two = run_command(evaluate_command(TASK, program=launch), tmp_path, few_questions)
    assert two.code == 0, two.output
    assert_same_readouts(alone, two, tolerance=1e-5)
    same_within(alone.numbers(TASK), two.numbers(TASK), 1e-5)


def test_another_order_of_documents_agrees_bit_for_bit(alone: Run, tmp_path: Path) -> None:
    rows = sorted(range(0, 540, 23), key=lambda row: (row * 7919) % 541)
    data = write_pope(tmp_path / "shuffled", rows)
    command = evaluate_command(TASK, program=["python", "-m", "lmms_eval"])
    shuffled = run_command(command, tmp_path, data)
    assert shuffled.code == 0, shuffled.output
    assert list(alone.samples(TASK)) != list(shuffled.samples(TASK))
    assert_same_readouts(alone, shuffled, tolerance=0)
    same_within(alone.numbers(TASK), shuffled.numbers(TASK), 1e-12)
