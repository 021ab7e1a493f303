"""The leaderboard's JSON: complete, and equal to what the samples give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from metrics.making import measure

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.metrics import metrics_for
from vlm_confidence_tasks.report.inputs.samples import read_samples


def test_every_number_equals_a_recomputation_from_the_samples(leaderboard: dict) -> None:
    assert len(leaderboard["entries"]) == 9
    for entry in leaderboard["entries"]:
        again = measure(read_samples(Path(entry["samples"])).samples)
        # Beside a p stands the adjusted one.
        held = {
            name: {key: each for key, each in number.items() if key != "holm"}
            for name, number in entry["metrics"].items()
        }
        assert held == {name: vars(number) for name, number in again.items()}


def test_an_entry_says_what_was_run(leaderboard: dict) -> None:
    entry = next(e for e in leaderboard["entries"] if e["task"] == "pope_eps0.3")
    assert entry["perturbations"] == ["gaussian_noise(epsilon=0.3, seed=0)"]
    assert entry["epsilon"] == 0.3
    assert entry["n"] == {"documents": 40, "failed": 0, "instances": 40, "images": 40}
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


def test_metrics_carry_their_direction_and_meaning(leaderboard: dict) -> None:
    known = metrics_for(perturbations.families())
    for name, about in leaderboard["metrics"].items():
        assert about["higher_is_better"] is known[name].higher_is_better
        assert about["description"] == known[name].description


def test_the_file_is_strict_json(written: Path) -> None:
    def refuse(name: str) -> None:
        pytest.fail(f"{name} is no JSON")

    json.loads((written / "leaderboard.json").read_text(), parse_constant=refuse)
