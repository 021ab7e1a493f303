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
    Truth,
    measured,
)
from vlm_confidence_tasks.metrics import aurc, auroc, calibration_test

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


def _expected(measure: Callable[[Floats, Floats], float], chance: Chance) -> Truth:
    """Return a measure of confidences and of the chances to be right."""

    def truth(data: Data, rng: Generator) -> float:
        confidence, _ = _answers(chance, data, rng)
        return measure(confidence, chance(confidence))

    return truth


def _ranked(measure: Callable[[Floats, Floats], float | None], data: Data, rng: Generator) -> float:
    return float(measure(*_answers(_OVERCONFIDENT, data, rng)) or 0.0)


_ERRORS = {state: _expected(_error, chance) for state, chance in _CHANCES.items()}


def _error_difference(data: Data, rng: Generator) -> float:
    """Return the error of overconfident answers less that of calibrated ones."""
    return measured(_ERRORS["overconfident by 0.1"]) - measured(_ERRORS["calibrated"])


KINDS: dict[str, Kind] = {}
for _name, _metrics in (("ece", "`ece`, `ece_debiased`"), ("smece", "`smece`"), ("ace", "`ace`")):
    for _state, _chance in _CHANCES.items():
        KINDS[f"{_name}, {_state}"] = Kind(
            f"`{_name}`, {_state}",
            _metrics,
            STATISTICS[_name].interval,
            partial(_run, _chance),
            _ERRORS[_state],
        )
for _state in ("calibrated", "overconfident by 0.1", "sure, 2% wrong"):
    _chance = _CHANCES[_state]
    for _name, _measure in (("overconfidence", _overconfidence), ("brier", _brier)):
        KINDS[f"{_name}, {_state}"] = Kind(
            f"`{_name}`, {_state}",
            f"`{_name}`",
            STATISTICS[_name].interval,
            partial(_run, _chance),
            _expected(_measure, _chance),
        )
    KINDS[f"overconfidence difference, {_state}"] = Kind(
        f"Difference of two `overconfidence`, both {_state}",
        "`compare`",
        STATISTICS["overconfidence"].difference,
        partial(_two_runs, _chance, _chance),
        0.0,
    )
for _name, _title, _before, _after in (
    ("calibrated", "both calibrated", "calibrated", "calibrated"),
    ("overconfident", "both overconfident by 0.1", *["overconfident by 0.1"] * 2),
    (
        "overconfident afterwards",
        "the second overconfident by 0.1",
        "calibrated",
        "overconfident by 0.1",
    ),
):
    KINDS[f"ece difference, {_name}"] = Kind(
        f"Difference of two ECE, {_title}",
        "`compare`",
        STATISTICS["ece"].difference,
        partial(_two_runs, _CHANCES[_before], _CHANCES[_after]),
        0.0 if _before == _after else _error_difference,
    )
KINDS |= {
    "auroc": Kind(
        "AUROC of confidence",
        "`auroc`",
        STATISTICS["auroc"].interval,
        partial(_run, _OVERCONFIDENT),
        partial(_ranked, auroc),
    ),
    "aurc": Kind(
        "Area under risk and coverage",
        "`aurc`",
        STATISTICS["aurc"].interval,
        partial(_run, _OVERCONFIDENT),
        partial(_ranked, aurc),
    ),
    "auroc difference": Kind(
        "Difference of two AUROC",
        "`compare`",
        STATISTICS["auroc"].difference,
        _two_rankings,
        0.0,
    ),
    "ece_p": Kind(
        "Test of calibration", "`ece_p`", _calibration_p, partial(_run, _CHANCES["calibrated"])
    ),
}
