"""The leaderboard's JSON: complete, and equal to what the samples give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from metrics.making import measure
from msgspec.structs import replace

from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks import cli, perturbations
from vlm_confidence_tasks.metrics import Sample, metrics_for
from vlm_confidence_tasks.report.inputs.samples import read_samples
from vlm_confidence_tasks.types import Readout


def test_every_number_equals_a_recomputation_from_the_samples(leaderboard: dict) -> None:
    assert len(leaderboard["entries"]) == 9
    for entry in leaderboard["entries"]:
        again = measure(read_samples(Path(entry["samples"])).samples)
        assert entry["metrics"] == {name: vars(number) for name, number in again.items()}


def test_an_entry_says_what_was_run(leaderboard: dict) -> None:
    entry = next(e for e in leaderboard["entries"] if e["task"] == "pope_eps0.3")
    assert entry["perturbations"] == ["gaussian_noise(epsilon=0.3, seed=0)"]
    assert entry["epsilon"] == 0.3
    assert entry["n"] == {"documents": 40, "failed": 0, "instances": 40, "images": 7}
    assert entry["versions"] == {
        "vlm_confidence_tasks": "1.0",
        "lmms_eval": "0.7.3",
        "torch": "2.9",
        "transformers": "5.1",
    }
    assert entry["date"] == "20260101_000000"
    assert leaderboard["interval"] == {"level": 0.95, "clusters": "images"}


def test_controls_are_not_among_the_instances(leaderboard: dict) -> None:
    entry = next(e for e in leaderboard["entries"] if e["task"] == "pope_invariance")
    assert entry["n"]["instances"] == 3 * 40


def test_models_are_told_apart_by_their_arguments(leaderboard: dict) -> None:
    assert [(m["name"], m["args"].get("load_in_8bit")) for m in leaderboard["models"]] == [
        ("org/tiny", None),
        ("org/tiny (load_in_4bit=True)", None),
        ("org/tiny (load_in_8bit=True)", "True"),
    ]


def test_intervals_hold_their_values(leaderboard: dict) -> None:
    numbers = [n for entry in leaderboard["entries"] for n in entry["metrics"].values()]
    held = [n["low"] <= n["value"] <= n["high"] for n in numbers if n["low"] is not None]
    assert len(held) > 300 and all(held)


def test_no_interval_has_the_width_0(tmp_path: Path) -> None:
    """Of a model that is always right and never flips, and of one that is always wrong."""
    asked = questions(40, images=8)
    for args, right in (("pretrained=a/right", True), ("pretrained=a/wrong", False)):
        held = [
            (question, replace(d, clean=sure(d.clean, d, right), variants=flat(d, right)))
            for question, d in answers(asked, [noise(0.3)])
        ]
        write_run(tmp_path / "runs", {"t": held}, args=args)
    options = ["--workers", "1", "--quiet", "--no-figures"]
    cli.main(["leaderboard", str(tmp_path / "runs"), "--output", str(tmp_path / "out"), *options])
    made = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    for entry, right in zip(made["entries"], (True, False), strict=True):
        rates = [entry["metrics"][name] for name in ("accuracy", "accuracy_clean", "ifr", "iv")]
        assert [rate["value"] for rate in rates] == [right, right, 0, 0]
        assert all(rate["high"] - rate["low"] > 0.3 for rate in rates)
        for number in entry["metrics"].values():
            assert number["low"] is None or number["low"] < number["high"]
        for held_bin in (*entry["bins"]["clean"], *entry["bins"]["perturbed"]):
            assert "accuracy_low" not in held_bin or (
                held_bin["accuracy_high"] - held_bin["accuracy_low"] > 0.3
            )


def sure(readout: Readout, document: Sample, right: bool) -> Readout:
    """The same answer, made right or wrong, with the confidence of the likeliest label."""
    said = document.gold if right else next(a for a in document.labels if a != document.gold)
    confidence = max(readout.probs.values())
    probs = {a: confidence if a == said else 1 - confidence for a in document.labels}
    return replace(readout, answer=said, correct=right, confidence=confidence, probs=probs)


def flat(document: Sample, right: bool) -> tuple[Readout, ...]:
    return tuple(sure(readout, document, right) for readout in document.variants)


def test_metrics_carry_their_direction_and_meaning(leaderboard: dict) -> None:
    known = metrics_for(perturbations.families())
    for name, about in leaderboard["metrics"].items():
        assert about["higher_is_better"] is known[name].higher_is_better
        assert about["description"] == known[name].description


def test_the_file_is_strict_json(written: Path) -> None:
    def refuse(name: str) -> None:
        pytest.fail(f"{name} is no JSON")

    json.loads((written / "leaderboard.json").read_text(), parse_constant=refuse)
