"""Intervals of made-up models whose truth is known, through `vlm-confidence leaderboard`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from msgspec.structs import replace

from metrics.making import measure
from report.synthetic import Answers, Asked, answers, noise, write_run
from vlm_confidence_tasks import cli

# As many as take a few seconds; `tests/unit/metrics/test_measuring.py` measures a hundred.
MODELS = 20
FLIPS = 0.02


def calibrated(seed: int) -> Answers:
    """300 answers on 50 images, right as often as they say; 2% of them flip."""
    rng = np.random.default_rng(seed)
    asked = [Asked(str(n), f"image{n // 6}", text=f"Is thing {n} there?") for n in range(300)]
    held = []
    for question, sample in answers(asked, [noise(0.1)], seed):
        confidence = float(0.5 + 0.5 * rng.beta(2, 1))
        said = ["Yes" if rng.random() < confidence else "No"] * 2
        if rng.random() < FLIPS:
            said[1] = "No" if said[0] == "Yes" else "Yes"
        readouts = [
            replace(
                readout,
                answer=answer,
                text=answer,
                correct=answer == "Yes",
                confidence=confidence,
                probs={answer: confidence, "No" if answer == "Yes" else "Yes": 1 - confidence},
            )
            for readout, answer in zip((sample.clean, *sample.variants), said, strict=True)
        ]
        upstream = float(bool(readouts[0].correct))
        document = replace(
            sample, clean=readouts[0], variants=tuple(readouts[1:]), upstream_clean=upstream
        )
        held.append((question, document))
    return held


@pytest.fixture(scope="module")
def runs() -> list[Answers]:
    return [calibrated(seed) for seed in range(MODELS)]


@pytest.fixture(scope="module")
def entries(runs: list[Answers], tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """The metrics of each model on the leaderboard, in the models' order."""
    folder = tmp_path_factory.mktemp("calibrated")
    for n, held in enumerate(runs):
        write_run(folder / "runs", {"pope_eps0.1": held}, args=f"pretrained=org/model{n:02}")
    options = ["--no-figures", "--workers", "1", "--quiet"]
    board = folder / "board"
    cli.main(["leaderboard", str(folder / "runs"), "--output", str(board), *options])
    found = json.loads((board / "leaderboard.json").read_text())["entries"]
    return [entry["metrics"] for entry in sorted(found, key=lambda entry: entry["model"])]


def test_the_intervals_hold_the_truth(entries: list[dict]) -> None:
    assert len(entries) == MODELS
    for name in ("ece_clean", "ece_debiased_clean", "smece_clean"):
        assert sum(entry[name]["low"] == 0 for entry in entries) >= MODELS - 3, name
    held = sum(entry["ifr"]["low"] <= FLIPS <= entry["ifr"]["high"] for entry in entries)
    assert held >= MODELS - 3


def test_no_rate_is_certain(entries: list[dict]) -> None:
    for entry in entries:
        for name in ("ifr", "iv", "invalid_rate", "accuracy"):
            assert entry[name]["high"] - entry[name]["low"] > 0.005, name


def test_they_are_those_of_the_answers(runs: list[Answers], entries: list[dict]) -> None:
    expected = measure([document for _, document in runs[0]])
    for name, number in expected.items():
        shown = entries[0][name]
        assert shown["value"] == pytest.approx(number.value, abs=1e-9), name
        if number.low is not None:
            ends = (shown["low"], shown["high"])
            assert ends == pytest.approx((number.low, number.high), rel=1e-5, abs=1e-6), name
