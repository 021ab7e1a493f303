"""One process or two, any order, alone or beside other tasks: the same results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Run, evaluate_command, run_command, write_pope

from vlm_confidence_tasks import cli

TASK = "pope_eps0.3"
INSIDE = "pope_drift"
EXACT = ("text", "answer", "image_sha256", "variant", "parameters", "seed", "correct")
NESTED = ("drift", "distance", "control", "prior_probs", "spectrum")
CLOSE = ("entropy", "logprob", "answer_mass", "confidence", "margin", "gold_margin")


def assert_same_readouts(one: Run, other: Run, tolerance: float) -> None:
    ours, theirs = one.samples(TASK), other.samples(TASK)
    assert ours.keys() == theirs.keys()
    for question, row in ours.items():
        for a, b in zip(row["readouts"], theirs[question]["readouts"], strict=True):
            assert [a[key] for key in EXACT] == [b[key] for key in EXACT]
            for key in CLOSE:
                assert a[key] == pytest.approx(b[key], abs=tolerance, rel=0)


def assert_same_insides(one: Run, other: Run, tolerance: float) -> None:
    ours, theirs = one.samples(INSIDE), other.samples(INSIDE)
    assert ours.keys() == theirs.keys()
    near = {"abs": tolerance, "rel": tolerance}
    for question, row in ours.items():
        for a, b in zip(row["readouts"], theirs[question]["readouts"], strict=True):
            mine, yours = a["inside"], b["inside"]
            for key in NESTED:
                assert mine[key] == (yours[key] and pytest.approx(yours[key], **near)), key
            for key in ("prior_drift", "dirichlet_energy", "layer_entropy"):
                assert mine[key] == pytest.approx(yours[key], **near), key
        assert set(row["readouts"][0]["inside"]["control"]) == {"context", "answer", "vision"}


ALL_METRICS = {"VLM_CONFIDENCE_METRICS": "all"}


@pytest.fixture(scope="module")
def alone(few_questions: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    command = evaluate_command(f"{TASK},{INSIDE}", program=["lmms-eval"])
    return run_command(command, tmp_path_factory.mktemp("alone"), few_questions, **ALL_METRICS)


def test_alone_and_beside_other_strengths_agree_bit_for_bit(alone: Run, sweep: Run) -> None:
    assert alone.code == sweep.code == 0, alone.output + sweep.output
    assert_same_readouts(alone, sweep, tolerance=0)
    shown = sweep.numbers(TASK)
    assert {name: alone.numbers(TASK)[name] for name in shown} == shown


def test_two_processes_agree_with_one(alone: Run, few_questions: Path, tmp_path: Path) -> None:
    launch = ["accelerate", "launch", "--cpu", "--num_processes", "2", "-m", "lmms_eval"]
    command = evaluate_command(f"{TASK},{INSIDE}", program=launch)
    two = run_command(command, tmp_path, few_questions, **ALL_METRICS)
    assert two.code == 0, two.output
    assert_same_readouts(alone, two, tolerance=1e-5)
    assert alone.numbers(TASK) == pytest.approx(two.numbers(TASK), abs=1e-5, rel=0)
    # The other process has half of the images that drift is held against.
    assert_same_insides(alone, two, tolerance=1e-5)
    assert alone.numbers(INSIDE) == pytest.approx(two.numbers(INSIDE), abs=1e-4, rel=0)


def test_another_order_of_documents_agrees(alone: Run, tmp_path: Path) -> None:
    rows = sorted(range(0, 540, 23), key=lambda row: (row * 7919) % 541)
    data = write_pope(tmp_path / "shuffled", rows)
    command = evaluate_command(f"{TASK},{INSIDE}", program=["python", "-m", "lmms_eval"])
    shuffled = run_command(command, tmp_path, data, **ALL_METRICS)
    assert shuffled.code == 0, shuffled.output
    assert list(alone.samples(TASK)) != list(shuffled.samples(TASK))
    assert_same_readouts(alone, shuffled, tolerance=0)
    assert alone.numbers(TASK) == pytest.approx(shuffled.numbers(TASK), abs=1e-12, rel=0)
    # Questions about a blank image share their prefix with others in another order.
    assert_same_insides(alone, shuffled, tolerance=1e-6)
    one, other = (dict(run.numbers(INSIDE)) for run in (alone, shuffled))
    # The mean of these insides is no more exact than they are; all else is.
    priors = [
        {name: found.pop(name) for name in list(found) if "prior" in name} for found in (one, other)
    ]
    assert priors[0]
    assert priors[0] == pytest.approx(priors[1], abs=1e-6, rel=0)
    assert one == pytest.approx(other, abs=1e-9, rel=0)


def test_representation_metrics_are_recomputed_from_the_samples(
    alone: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["recompute", "--json", str(alone.samples_file(INSIDE))])
    again = json.loads(capsys.readouterr().out)
    reported = alone.numbers(INSIDE)
    assert {"drift_context", "drift_ratio_vision", "drift_d_answer", "drift_to_prior"} < set(
        reported
    )
    for name, value in reported.items():
        assert again.pop(name) == pytest.approx(value, abs=1e-9, rel=1e-9), name
    # What is left is what the harness's table has no place for.
    assert {name.split("_")[0] for name in again} == {"layer", "pearson"}
    assert again["pearson_dirichlet_drift_n"] == 24 * 4
    low, high = (again[f"pearson_dirichlet_drift_{end}"] for end in ("low", "high"))
    assert -1 <= low <= again["pearson_dirichlet_drift"] <= high <= 1
