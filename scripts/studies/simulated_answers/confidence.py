"""Confidences and whether the answers are right: calibration and ranking."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.special import ndtr

from simulated_answers.design import TRUTHS, Data, Floats, Kind, Outcome, truth
from vlm_confidence_tasks.metrics import (
    aurc,
    auroc,
    calibration_error_interval,
    calibration_test,
    expected_calibration_error,
    smooth_calibration_error,
)
from vlm_confidence_tasks.metrics.functional.ranking import aurc_of_ranks, auroc_of_ranks
from vlm_confidence_tasks.metrics.inference.jackknife import ranking_interval
from vlm_confidence_tasks.metrics.inference.rare_errors import (
    loss_interval,
    overconfidence_interval,
)

# Miscalibration: the chance to be right, of a confidence.
Chance = Callable[[Floats], Floats]


def _calibrated(confidence: Floats) -> Floats:
    return confidence


def _overconfident(gap: float, confidence: Floats) -> Floats:
    return confidence - gap


def _crossing(confidence: Floats) -> Floats:
    return confidence - 0.2 * (confidence - 0.7)


def _sure(confidence: Floats) -> Floats:
    return np.full(confidence.size, 0.98)


def _answers(data: Data, rng: np.random.Generator, chance: Chance) -> tuple[Floats, Floats]:
    """Draw confidences, and whether the answers are right.

    Confidences lie between 0.5 and 1, those of `_sure` between 0.99 and 0.99999.
    """
    documents = data.document.max() + 1
    if chance is _sure:
        confidence = (1.0 - 10.0 ** rng.uniform(-5.0, -2.0, documents))[data.document]
    else:
        base = rng.beta(2.0, 1.0, documents)[data.document]
        confidence = np.clip(0.5 + 0.5 * base + rng.normal(0.0, 0.03, base.size), 0.5, 1.0)
    right = ndtr(data.scores(rng)) < chance(confidence)
    return confidence, right.astype(np.float64)


def _calibration_truth(chance: Chance) -> Callable[[Data, np.random.Generator], float]:
    def truth(data: Data, rng: np.random.Generator) -> float:
        # Without the noise of being right: the chances themselves, in the same bins.
        confidence, _ = _answers(data, rng, chance)
        gap = chance(confidence) - confidence
        bins = np.searchsorted(np.arange(1, 15) / 15, confidence)
        return float(np.abs(np.bincount(bins, gap)).sum() / gap.size)

    return truth


def _overconfidence_truth(chance: Chance) -> Callable[[Data, np.random.Generator], float]:
    def truth(data: Data, rng: np.random.Generator) -> float:
        confidence, _ = _answers(data, rng, chance)
        return float((confidence - chance(confidence)).mean())

    return truth


def _brier_truth(chance: Chance) -> Callable[[Data, np.random.Generator], float]:
    def truth(data: Data, rng: np.random.Generator) -> float:
        confidence, _ = _answers(data, rng, chance)
        right = chance(confidence)
        return float((right * (1.0 - confidence) ** 2 + (1.0 - right) * confidence**2).mean())

    return truth


def _ranking_truth(
    measure: Callable[[Floats, Floats], float | None],
) -> Callable[[Data, np.random.Generator], float]:
    def truth(data: Data, rng: np.random.Generator) -> float:
        return float(measure(*_answers(data, rng, partial(_overconfident, 0.1))) or 0.0)

    return truth


_ERRORS: dict[str, tuple[Any, Callable[[Floats, Floats], float]]] = {
    "ece": ("uniform", expected_calibration_error),
    "smece": ("smooth", smooth_calibration_error),
    "ace": ("quantile", partial(expected_calibration_error, strategy="quantile")),
}
_CHANCES: dict[str, Chance] = {
    "calibrated": _calibrated,
    "overconfident by 0.05": partial(_overconfident, 0.05),
    "overconfident by 0.1": partial(_overconfident, 0.1),
    "over- and underconfident": _crossing,
    "sure, 2% wrong": _sure,
}


def _error(name: str, state: str, data: Data, rng: np.random.Generator) -> Outcome:
    confidence, correct = _answers(data, rng, _CHANCES[state])
    kind, measure = _ERRORS[name]
    estimate = measure(confidence, correct)
    found = calibration_error_interval(confidence, correct, data.image, estimate, kind=kind)
    return found, truth(state)


def _overconfidence(state: str, data: Data, rng: np.random.Generator) -> Outcome:
    confidence, correct = _answers(data, rng, _CHANCES[state])
    sums = [data.by_document(column) for column in (confidence, correct, np.ones(correct.size))]
    return overconfidence_interval(*sums, data.image_of), truth(f"overconfidence, {state}")


def _overconfidence_difference(state: str, data: Data, rng: np.random.Generator) -> Outcome:
    """Two runs with the same confidences, half of whose scores are the same."""
    confidence, scores = _answers(data, rng, _CHANCES[state])[0], data.scores(rng)
    moved = np.where(rng.random(scores.size) < 0.5, data.scores(rng), scores)
    hits = [ndtr(each) < _CHANCES[state](confidence) for each in (scores, moved)]
    runs = [[data.by_document(c) for c in (confidence, hit, np.ones(hit.size))] for hit in hits]
    columns = (np.concatenate(both) for both in zip(*runs, strict=True))
    documents = data.image_of.size
    second = np.repeat([False, True], documents)
    return overconfidence_interval(*columns, np.tile(data.image_of, 2), paired=second), 0.0


def _brier(state: str, data: Data, rng: np.random.Generator) -> Outcome:
    confidence, correct = _answers(data, rng, _CHANCES[state])
    losses = data.by_document((confidence - correct) ** 2)
    counts = np.full(losses.size, float(data.cell.variants))
    return loss_interval(losses, counts, data.image_of), truth(f"brier, {state}")


def _error_difference(before: str, after: str, data: Data, rng: np.random.Generator) -> Outcome:
    """Two runs with the same confidences, half of whose scores are the same."""
    confidence, _ = _answers(data, rng, _CHANCES[before])
    scores = data.scores(rng)
    moved = np.where(rng.random(scores.size) < 0.5, data.scores(rng), scores)
    correct, other = (
        (ndtr(each) < _CHANCES[state](confidence)).astype(np.float64)
        for each, state in ((scores, before), (moved, after))
    )
    errors = [expected_calibration_error(confidence, column) for column in (correct, other)]
    found = calibration_error_interval(
        np.tile(confidence, 2),
        np.concatenate([correct, other]),
        np.tile(data.image, 2),
        errors[1] - errors[0],
        paired=np.repeat([False, True], correct.size),
    )
    truths = [truth(state) for state in (before, after)]
    return found, truths[1] - truths[0]


def _calibration_p(data: Data, rng: np.random.Generator) -> Outcome:
    confidence, correct = _answers(data, rng, _calibrated)
    return calibration_test(confidence, correct, data.document, data.image).p


def _ranking(name: str, data: Data, rng: np.random.Generator) -> Outcome:
    confidence, correct = _answers(data, rng, partial(_overconfident, 0.1))
    measure: Any = {"auroc": auroc_of_ranks, "aurc": aurc_of_ranks}[name]
    return ranking_interval(measure, confidence, correct, data.image), truth(name)


def _ranking_difference(data: Data, rng: np.random.Generator) -> Outcome:
    """Two runs, half of whose scores are the same."""
    confidence, correct = _answers(data, rng, partial(_overconfident, 0.1))
    other = np.where(rng.random(correct.size) < 0.5, ndtr(data.scores(rng)), np.nan)
    moved = np.where(np.isnan(other), correct, other < confidence - 0.1)
    both, right = np.tile(confidence, 2), np.concatenate([correct, moved])
    second = np.repeat([False, True], correct.size)
    return ranking_interval(auroc_of_ranks, both, right, np.tile(data.image, 2), paired=second), 0.0


TRUTHS |= {
    **{name: _calibration_truth(chance) for name, chance in _CHANCES.items()},
    **{f"brier, {name}": _brier_truth(chance) for name, chance in _CHANCES.items()},
    **{
        f"overconfidence, {name}": _overconfidence_truth(chance)
        for name, chance in _CHANCES.items()
    },
    "auroc": _ranking_truth(auroc),
    "aurc": _ranking_truth(aurc),
}

KINDS: dict[str, Kind] = {}
_ERROR_METRICS = {"ece": "`ece`, `ece_debiased`", "smece": "`smece`", "ace": "`ace`"}
for _name in _ERRORS:
    for _state in _CHANCES:
        KINDS[f"{_name}, {_state}"] = Kind(
            f"`{_name}`, {_state}", _ERROR_METRICS[_name], partial(_error, _name, _state)
        )
_SOME = ("calibrated", "overconfident by 0.1", "sure, 2% wrong")
for _state in _SOME:
    KINDS[f"overconfidence, {_state}"] = Kind(
        f"`overconfidence`, {_state}", "`overconfidence`", partial(_overconfidence, _state)
    )
    KINDS[f"brier, {_state}"] = Kind(f"`brier`, {_state}", "`brier`", partial(_brier, _state))
    KINDS[f"overconfidence difference, {_state}"] = Kind(
        f"Difference of two `overconfidence`, both {_state}",
        "`compare`",
        partial(_overconfidence_difference, _state),
    )
KINDS |= {
    "ece difference, calibrated": Kind(
        "Difference of two ECE, both calibrated",
        "`compare`",
        partial(_error_difference, "calibrated", "calibrated"),
    ),
    "ece difference, overconfident": Kind(
        "Difference of two ECE, both overconfident by 0.1",
        "`compare`",
        partial(_error_difference, "overconfident by 0.1", "overconfident by 0.1"),
    ),
    "ece difference, overconfident afterwards": Kind(
        "Difference of two ECE, the second overconfident by 0.1",
        "`compare`",
        partial(_error_difference, "calibrated", "overconfident by 0.1"),
    ),
    "auroc": Kind("AUROC of confidence", "`auroc`", partial(_ranking, "auroc")),
    "aurc": Kind("Area under risk and coverage", "`aurc`", partial(_ranking, "aurc")),
    "auroc difference": Kind("Difference of two AUROC", "`compare`", _ranking_difference),
    "ece_p": Kind("Test of calibration", "`ece_p`", _calibration_p),
}
