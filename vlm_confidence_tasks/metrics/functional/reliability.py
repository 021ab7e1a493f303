"""Reliability without bins: recalibrated by isotonic regression, and by a logistic line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, isotonic_regression
from scipy.special import expit, logit

from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, answered
from vlm_confidence_tasks.metrics.functional.recalibration import LEAST_PROBABILITY

# Newton's steps.
_STEPS = 100


@dataclass(frozen=True)
class CorpReliability:
    """A reliability diagram by isotonic regression, and what it makes of the Brier score.

    brier = miscalibration - discrimination + uncertainty, of the given answer.

    Attributes:
        confidence: The distinct confidences, rising, [T].
        recalibrated: The share of right answers at each, as far as it rises, [T].
        count: Answers with each confidence, [T].
        miscalibration: Mean squared gap that recalibration takes away; biased upwards.
        discrimination: What the recalibrated confidences gain over the accuracy alone.
        uncertainty: Variance of being right.
    """

    confidence: Floats
    recalibrated: Floats
    count: Floats
    miscalibration: float
    discrimination: float
    uncertainty: float


def corp_reliability(confidence: ArrayLike, correct: ArrayLike) -> CorpReliability:
    """Recalibrate by the pool-adjacent-violators algorithm: consistent, optimal, reproducible.

    With S the Brier score of confidences, of recalibrated ones and of the accuracy for all:
    miscalibration = S(confidence) - S(recalibrated), discrimination = S(accuracy) -
    S(recalibrated), uncertainty = S(accuracy).

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        correct: Whether each answer is right, [N].

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: Dimitriadis, Gneiting and Jordan 2021 (CORP).

    >>> found = corp_reliability([0.5, 0.7, 0.9, 0.9], [0, 1, 1, 0])
    >>> found.recalibrated.round(3).tolist(), round(found.miscalibration, 4)
    ([0.0, 0.667, 0.667], 0.1233)
    """
    sure, right = answered(confidence, correct)
    place, index, count = np.unique(sure, return_inverse=True, return_counts=True)
    share = np.bincount(index, right) / count
    fitted = isotonic_regression(share, weights=count).x
    accuracy = float(right.mean())
    uncertainty = accuracy * (1.0 - accuracy)
    repaired = _brier(fitted[index], right)
    return CorpReliability(
        confidence=place,
        recalibrated=fitted,
        count=count.astype(np.float64),
        miscalibration=max(0.0, _brier(sure, right) - repaired),
        discrimination=max(0.0, uncertainty - repaired),
        uncertainty=uncertainty,
    )


def _brier(confidence: Floats, right: Bools) -> float:
    return float(((confidence - right) ** 2).mean())


def log_odds(confidence: Floats) -> Floats:
    """Return the log-odds of confidences that count as at most 1 - 2^-24, at least 2^-24, [N]."""
    odds: Floats = logit(np.clip(confidence, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY))
    return odds


def shift_to(odds: Floats, hits: float) -> float | None:
    """Return the shift of log-odds, [N], whose chances add up to hits; None outside of (0, N).

    >>> round(shift_to(np.zeros(4), 3.0), 4)  # ln 3
    1.0986
    """
    rarer = min(hits, odds.size - hits)
    if rarer <= 0:
        return None
    reach = np.abs(odds).max() + np.log(odds.size / rarer) + 1.0
    return float(brentq(lambda a: expit(a + odds).sum() - hits, -reach, reach, xtol=1e-12))


def calibration_intercept(confidence: ArrayLike, correct: ArrayLike) -> float | None:
    """Calibration in the large: a of logit P(right) = a + logit(confidence), by likelihood.

    0 where answers are as often right as their confidences say, under it of an overconfident
    model. A confidence counts as at most 1 - 2^-24, at least 2^-24.

    Returns:
        None if all answers are right, or all wrong.

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: Cox 1958; Van Calster et al. 2019.

    >>> round(calibration_intercept([0.9] * 4, [1, 1, 1, 0]), 4)  # ln 3 - ln 9
    -1.0986
    """
    sure, right = answered(confidence, correct)
    return shift_to(log_odds(sure), float(right.sum()))


def calibration_slope(confidence: ArrayLike, correct: ArrayLike) -> float | None:
    """Calibration slope: b of logit P(right) = a + b logit(confidence), by likelihood.

    1 of a calibrated model; under it confidences are too extreme, at 0 they tell nothing.
    Confidences are bounded as by `calibration_intercept`.

    Returns:
        None if all confidences are equal, or if they tell right answers from wrong ones
        perfectly, for then no slope is the likeliest.

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: Cox 1958; Van Calster et al. 2019.

    >>> sure, right = [0.6] * 4 + [0.9] * 4, [1, 1, 0, 0] + [1, 1, 1, 0]
    >>> round(calibration_slope(sure, right), 4)
    0.6131
    >>> calibration_slope([0.6, 0.9], [0, 1]) is None
    True
    """
    sure, right = answered(confidence, correct)
    odds = log_odds(sure)
    spread = odds.std()
    if spread <= 1e-9 * np.abs(odds).max() or _separated(odds, right):
        return None
    rows = np.vstack([np.ones(odds.size), (odds - odds.mean()) / spread])
    weights = np.zeros(2)
    for _ in range(_STEPS):
        chance = expit(weights @ rows)
        step = np.linalg.solve((rows * (chance * (1.0 - chance))) @ rows.T, rows @ (right - chance))
        # Within reach, so that a step from a flat place does not leave the others behind.
        weights += step * min(1.0, 3.0 / float(np.abs(step).max()))
        if np.abs(step).max() < 1e-11:
            break
    return float(weights[1] / spread)


def _separated(odds: Floats, right: Bools) -> bool:
    """Whether a threshold tells all right answers from all wrong ones, ties at it apart."""
    if right.all() or not right.any():
        return True
    hits, misses = odds[right], odds[~right]
    return bool(misses.max() <= hits.min() or hits.max() <= misses.min())
