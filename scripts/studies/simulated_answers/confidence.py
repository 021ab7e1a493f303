"""Confidences and whether the answers are right: calibration and ranking."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.special import ndtr

from simulated_answers.design import (
    STATISTICS,
    Answers,
    Data,
    Floats,
    Generator,
    Kind,
    compared,
    measured,
    of_metric,
)
from vlm_confidence_tasks.metrics import augrc, aurc, auroc, calibration_test
from vlm_confidence_tasks.metrics.functional.reliability import log_odds, shift_to

# Miscalibration: the chance to be right, of a confidence.
Chance = Callable[[Floats], Floats]


def _sure(confidence: Floats) -> Floats:
    return np.full(confidence.size, 0.98)


_CHANCES: dict[str, Chance] = {
    "calibrated": lambda confidence: confidence,
    "overconfident by 0.05": lambda confidence: confidence - 0.05,
    "overconfident by 0.1": lambda confidence: confidence - 0.1,
    "over- and underconfident": lambda confidence: confidence - 0.2 * (confidence - 0.7),
    "sure, 2% wrong": _sure,
}
_OVERCONFIDENT = _CHANCES["overconfident by 0.1"]


def _answers(chance: Chance, data: Data, rng: Generator) -> tuple[Floats, Floats]:
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


def _run(chance: Chance, data: Data, rng: Generator) -> list[Answers]:
    confidence, correct = _answers(chance, data, rng)
    return [data.table(confidence=confidence, correct=correct)]


def _two_runs(before: Chance, after: Chance, data: Data, rng: Generator) -> list[Answers]:
    """Draw two runs with the same confidences, half of whose scores are the same."""
    confidence, _ = _answers(before, data, rng)
    scores = data.scores(rng)
    moved = np.where(rng.random(scores.size) < 0.5, data.scores(rng), scores)
    return [
        data.table(confidence=confidence, correct=(ndtr(each) < chance(confidence)) * 1.0)
        for each, chance in ((scores, before), (moved, after))
    ]


def _two_rankings(data: Data, rng: Generator) -> list[Answers]:
    """Draw two overconfident runs, half of whose scores are the same."""
    confidence, correct = _answers(_OVERCONFIDENT, data, rng)
    other = np.where(rng.random(correct.size) < 0.5, ndtr(data.scores(rng)), np.nan)
    moved = np.where(np.isnan(other), correct, other < _OVERCONFIDENT(confidence))
    return [data.table(confidence=confidence, correct=run) for run in (correct, moved)]


def _calibration_p(answers: Answers) -> float:
    columns = (answers.confidence, answers.correct, answers.document, answers.image)
    return calibration_test(*columns).p


def _error(confidence: Floats, chance: Floats) -> float:
    # Without the noise of being right: the chances themselves, in the same bins.
    bins = np.searchsorted(np.arange(1, 15) / 15, confidence)
    return float(np.abs(np.bincount(bins, chance - confidence)).sum() / chance.size)


def _overconfidence(confidence: Floats, chance: Floats) -> float:
    return float((confidence - chance).mean())


def _brier(confidence: Floats, chance: Floats) -> float:
    return float((chance * (1.0 - confidence) ** 2 + (1.0 - chance) * confidence**2).mean())


def _intercept(confidence: Floats, chance: Floats) -> float:
    return shift_to(log_odds(confidence), float(chance.sum())) or 0.0


def _expected(
    measure: Callable[[Floats, Floats], float], chance: Chance, data: Data, rng: Generator
) -> float:
    """Return a measure of confidences and of the chances to be right."""
    confidence, _ = _answers(chance, data, rng)
    return measure(confidence, chance(confidence))


def saturated(sure: float, wrong: float, data: Data, rng: Generator) -> list[Answers]:
    """Draw confidences of which a share is exactly 1, and none tells the wrong answers."""
    confidence = np.where(
        rng.random(data.image.size) < sure, 1.0, rng.uniform(0.5, 1, data.image.size)
    )
    return [data.table(confidence=confidence, correct=data.events(rng, 1.0 - wrong))]


_SATURATED = partial(saturated, 0.9, 0.05)


def _saturated_intercept(data: Data, rng: Generator) -> float:
    (drawn,) = _SATURATED(data, rng)
    return _intercept(drawn.confidence, np.full(data.image.size, 0.95))


def _two_saturated(data: Data, rng: Generator) -> list[Answers]:
    """Draw two such runs, half of whose answers are the same."""
    (one,), (other,) = _SATURATED(data, rng), _SATURATED(data, rng)
    moved = rng.random(data.image.size) < 0.5
    columns = {
        name: np.where(moved, getattr(other, name), getattr(one, name))
        for name in ("confidence", "correct")
    }
    return [one, data.table(**columns)]


def _ranked(measure: Callable[[Floats, Floats], float | None], data: Data, rng: Generator) -> float:
    return float(measure(*_answers(_OVERCONFIDENT, data, rng)) or 0.0)


_ERRORS = {state: partial(_expected, _error, chance) for state, chance in _CHANCES.items()}


def _error_difference(data: Data, rng: Generator) -> float:
    """Return the error of overconfident answers less that of calibrated ones."""
    return measured(_ERRORS["overconfident by 0.1"]) - measured(_ERRORS["calibrated"])


KINDS: dict[str, Kind] = {}
for _name, _of in (("ece", "`ece`, `ece_debiased`"), ("smece", "`smece`"), ("ace", "`ace`")):
    for _state, _chance in _CHANCES.items():
        KINDS[f"{_name}, {_state}"] = of_metric(
            _name, partial(_run, _chance), _ERRORS[_state], f"`{_name}`, {_state}", _of
        )
for _state in ("calibrated", "overconfident by 0.1", "sure, 2% wrong"):
    _chance = _CHANCES[_state]
    for _name, _measure in (
        ("overconfidence", _overconfidence),
        ("brier_top", _brier),
        ("calibration_intercept", _intercept),
    ):
        _truth = partial(_expected, _measure, _chance)
        KINDS[f"{_name}, {_state}"] = of_metric(
            _name, partial(_run, _chance), _truth, f"`{_name}`, {_state}"
        )
    KINDS[f"overconfidence difference, {_state}"] = compared(
        f"`overconfidence`, both {_state}",
        STATISTICS["overconfidence"],
        partial(_two_runs, _chance, _chance),
    )
_DRAWN = partial(_run, _OVERCONFIDENT)
_ECE, _CALIBRATED = STATISTICS["ece"], _CHANCES["calibrated"]
KINDS |= {
    "ece difference, calibrated": compared(
        "ECE, both calibrated", _ECE, partial(_two_runs, _CALIBRATED, _CALIBRATED)
    ),
    "ece difference, overconfident": compared(
        "ECE, both overconfident by 0.1", _ECE, partial(_two_runs, _OVERCONFIDENT, _OVERCONFIDENT)
    ),
    "ece difference, overconfident afterwards": compared(
        "ECE, the second overconfident by 0.1",
        _ECE,
        partial(_two_runs, _CALIBRATED, _OVERCONFIDENT),
        _error_difference,
    ),
    "auroc": of_metric("auroc", _DRAWN, partial(_ranked, auroc), "AUROC of confidence"),
    "aurc": of_metric("aurc", _DRAWN, partial(_ranked, aurc), "Area under risk and coverage"),
    "augrc": of_metric("augrc", _DRAWN, partial(_ranked, augrc), "The same, generalised risk"),
    "auroc, saturated": of_metric(
        "auroc", _SATURATED, 0.5, "AUROC of confidence, 90% at exactly 1, 5% wrong"
    ),
    "aurc, saturated": of_metric(
        "aurc", _SATURATED, 0.05, "Area under risk and coverage, 90% at exactly 1, 5% wrong"
    ),
    "augrc, saturated": of_metric(
        "augrc", _SATURATED, 0.025, "The same, generalised risk, 90% at exactly 1, 5% wrong"
    ),
    "calibration_intercept, saturated": of_metric(
        "calibration_intercept",
        _SATURATED,
        _saturated_intercept,
        "`calibration_intercept`, 90% at exactly 1, 5% wrong",
    ),
    "calibration_intercept difference": compared(
        "calibration intercepts, both overconfident by 0.1",
        STATISTICS["calibration_intercept"],
        partial(_two_runs, _OVERCONFIDENT, _OVERCONFIDENT),
    ),
    "auroc difference, saturated": compared(
        "AUROC, 90% at exactly 1, 5% wrong", STATISTICS["auroc"], _two_saturated
    ),
    "auroc difference": compared("AUROC", STATISTICS["auroc"], _two_rankings),
    "ece_p": Kind("Test of calibration", "`ece_p`", _calibration_p, partial(_run, _CALIBRATED)),
}
