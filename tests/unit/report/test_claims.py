"""Each claim, true, false and undecided by construction, gets that verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from report.claimed import (
    FAMILIES,
    OTHERS,
    Tasks,
    entropies,
    invariance,
    stated,
    write,
    wrong,
)
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.report.claims.claims import EPSILONS

SUPPORTED, REFUTED = "supported", "refuted"
UNDECIDED, ABSENT = "undecided at this sample", "not measured"
INSIDE, OPPOSITE = "inside the smallest effect", "opposite"
MANY = 1000

Write = Callable[[Path], object]


def judged(folder: Path, *options: str) -> dict[str, Any]:
    arguments = ["claims", str(folder / "runs"), "--output", str(folder / "out"), "--quiet"]
    cli.main([*arguments, *options])
    return json.loads((folder / "out" / "claims.json").read_text())


def of_claim(record: Mapping[str, Any], number: int) -> list[dict[str, Any]]:
    return [said for said in record["verdicts"] if said["claim"] == number]


def deciding(said: Mapping[str, Any]) -> str | None:
    return said["parts"][said["decided_by"]]["finding"]


def tasks(make: Callable[[], Tasks]) -> Write:
    return lambda folder: write(folder, make())


def clamped(change: float, spread: float) -> Write:
    return lambda folder: write(folder, {}, trap=(change, spread))


def noisy(change: float, spread: float) -> Write:
    """Entropies that change in proportion to epsilon."""
    return tasks(lambda: entropies({e: change * e for e in EPSILONS}, spread))


def flipping(overlay: float, random: float, empty: float, others: float, images: int = 60) -> Write:
    rates = dict.fromkeys(OTHERS, others)
    rates |= dict(zip(FAMILIES[len(OTHERS) :], (overlay, random, empty), strict=True))
    return tasks(lambda: {"pope_invariance": invariance(rates, images=images)})


def drifting(ratio: float) -> Write:
    return tasks(lambda: {"pope_invariance": invariance({"rotation": 0.2}, ratio)})


def sized(*rates: float) -> Write:
    def write_all(folder: Path) -> None:
        for n, rate in enumerate(rates):
            made = {"pope_invariance": invariance({"rotation": rate}, seed=n)}
            write(folder, made, f"org/tiny-{2**n}M")

    return write_all


def erring(
    hallucinated: tuple[float, float], reasoned: tuple[float, float], images: int = 60
) -> Write:
    rates = {"pope": hallucinated, "amber": hallucinated, "seed": reasoned, "mmmu": reasoned}
    return tasks(lambda: {f"{n}_invariance": wrong(*each, images) for n, each in rates.items()})


def asked(third: float, first: float, spread: float) -> Write:
    sides = {"pope_verbal3": (third, 1), "pope_verbal1": (first, 2)}
    return tasks(
        lambda: {name: stated(sure, 0.3, spread, seed) for name, (sure, seed) in sides.items()}
    )


def trained(before: tuple[float, float, float], after: tuple[float, float, float]) -> Write:
    """Runs before and after training: certainty, share of wrong answers, spread."""

    def write_both(folder: Path) -> None:
        names = ("pope_verbal3", "pope_blur_verbal3", "pope_lowlight_verbal3")
        for model, made in (("org/plain", before), ("org/csp", after)):
            write(folder, {name: stated(*made) for name in names}, model)

    return write_both


CASES = [
    (1, SUPPORTED, "holds", noisy(-0.5, 0.1)),
    (1, REFUTED, OPPOSITE, noisy(0.5, 0.1)),
    (1, REFUTED, INSIDE, noisy(-0.005, 0.01)),
    (1, UNDECIDED, "undecided", noisy(-0.05, 1.0)),
    (2, SUPPORTED, "holds", clamped(-0.1, 0.05)),
    (2, REFUTED, OPPOSITE, clamped(0.1, 0.05)),
    (2, REFUTED, INSIDE, clamped(-0.002, 0.005)),
    (2, UNDECIDED, "undecided", clamped(-0.02, 0.2)),
    (3, SUPPORTED, "holds", noisy(-0.15, 0.05)),
    (3, REFUTED, OPPOSITE, noisy(0.15, 0.05)),
    (3, REFUTED, INSIDE, noisy(-0.008, 0.01)),
    (3, UNDECIDED, "undecided", noisy(-0.03, 0.5)),
    (4, SUPPORTED, "holds", flipping(0.9, 0.5, 0.1, 0.1)),
    (4, REFUTED, OPPOSITE, flipping(0.1, 0.5, 0.9, 0.9)),
    (4, REFUTED, INSIDE, flipping(0.0, 0.0, 0.0, 0.0, MANY)),
    (4, UNDECIDED, "undecided", flipping(0.3, 0.28, 0.26, 0.26)),
    (5, SUPPORTED, "holds", drifting(0.8)),
    (5, REFUTED, INSIDE, drifting(0.2)),
    (5, UNDECIDED, "undecided", drifting(0.5)),
    (6, SUPPORTED, "holds", sized(0.1, 0.3, 0.5)),
    (6, REFUTED, OPPOSITE, sized(0.5, 0.3, 0.1)),
    (6, UNDECIDED, "undecided", sized(0.3, 0.3, 0.3)),
    (7, SUPPORTED, "holds", erring((0.6, 0.1), (0.1, 0.6))),
    (7, REFUTED, OPPOSITE, erring((0.1, 0.6), (0.1, 0.6))),
    (7, REFUTED, INSIDE, erring((0.0, 0.0), (0.1, 0.6), MANY)),
    (7, UNDECIDED, "undecided", erring((0.3, 0.28), (0.28, 0.3))),
    (8, SUPPORTED, "holds", asked(0.6, 0.9, 0.05)),
    (8, REFUTED, OPPOSITE, asked(0.9, 0.6, 0.05)),
    (8, REFUTED, INSIDE, asked(0.7, 0.7, 0.005)),
    (8, UNDECIDED, "undecided", asked(0.49, 0.5, 0.15)),
    (9, SUPPORTED, "holds", trained((0.95, 0.5, 0.02), (0.8, 0.2, 0.02))),
    (9, REFUTED, OPPOSITE, trained((0.8, 0.2, 0.02), (0.95, 0.5, 0.02))),
    (9, UNDECIDED, "undecided", trained((0.8, 0.3, 0.05), (0.78, 0.3, 0.05))),
]


@pytest.mark.parametrize(("number", "verdict", "finding", "make"), CASES)
def test_a_claim_gets_the_verdict_that_it_was_made_for(
    number: int, verdict: str, finding: str, make: Write, tmp_path: Path
) -> None:
    make(tmp_path / "runs")
    pair = ["--before", "org/plain", "--after", "org/csp"] if number == 9 else []
    (said,) = of_claim(judged(tmp_path, *pair), number)
    assert (said["verdict"], deciding(said)) == (verdict, finding)
    for part in said["parts"]:
        assert part["low"] <= part["effect"] <= part["high"]
    assert not said["commands"]
