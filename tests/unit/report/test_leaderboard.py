"""The leaderboard's JSON: complete, and equal to what the samples give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from metrics.making import measure

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.metrics import Answers, metrics_for
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


@pytest.mark.parametrize("metric", ["accuracy", "ifr", "invalid_rate"])
def test_ranks_are_those_of_paired_differences(leaderboard: dict, metric: str) -> None:
    """A model is behind another where the interval of their difference excludes 0."""
    known = metrics_for(perturbations.families())[metric]
    orders = set()
    for column in leaderboard["columns"]:
        entries = [e for e in leaderboard["entries"] if e["column"] == column["id"]]
        tables = [Answers.of(read_samples(Path(e["samples"])).samples) for e in entries]
        for entry, table in zip(entries, tables, strict=True):
            found = [known.difference(other, table, 1 - 0.05 / 3) for other in tables]
            lows = [each.low for each in found if each.excludes_zero]
            ahead, behind = sum(low > 0 for low in lows), sum(low < 0 for low in lows)
            if not known.higher_is_better:
                ahead, behind = behind, ahead
            assert entry["ranks"].get(metric) == [1 + behind, 3 - ahead]
            orders.add((behind, ahead))
    assert len(orders) > 1 or metric == "invalid_rate"


def test_what_is_ranked_has_a_direction_and_an_interval(leaderboard: dict) -> None:
    ranked = {name for entry in leaderboard["entries"] for name in entry["ranks"]}
    assert {"accuracy", "ece", "auroc"} <= ranked
    assert all(leaderboard["metrics"][n]["higher_is_better"] is not None for n in ranked)
    assert "overconfidence" not in ranked and "mce" not in ranked


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
