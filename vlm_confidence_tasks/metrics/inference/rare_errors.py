"""Intervals of means that rare errors dominate, of which a sample may hold none."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints, answered
from vlm_confidence_tasks.metrics.functional.reliability import log_odds, shift_to
from vlm_confidence_tasks.metrics.inference.clusters import (
    LEVEL,
    Interval,
    difference,
    numbered,
    sides,
    table,
)
from vlm_confidence_tasks.metrics.inference.means import mean_interval
from vlm_confidence_tasks.metrics.inference.rates import (
    RateEstimate,
    compared,
    correlation,
    rate_of,
)


def overconfidence_interval(
    confidences: ArrayLike,
    hits: ArrayLike,
    counts: ArrayLike,
    clusters: ArrayLike,
    *,
    paired: ArrayLike | None = None,
    level: float = LEVEL,
) -> Interval | None:
    """Interval of mean confidence - accuracy, or of its difference in two conditions.

    By MOVER from the interval of mean confidence (`mean_interval`) and that of accuracy
    (`rate_interval`), with their correlation over images. A model that is sure and right in
    the whole sample may still be wrong elsewhere: the exact interval of accuracy knows that,
    the spread of the differences does not.

    Args:
        confidences: Sum of the confidences of each row (an answer, or a document's), [N].
        hits: Number of right answers of each row, [N].
        counts: Number of answers of each row, [N].
        clusters: The image of each row, [N].
        paired: Whether each row is of the second condition, [N].
        level: Of the interval, in (0, 1).

    Returns:
        None of under 5 images on a side, or one with over half of the answers.

    Raises:
        ValueError: No rows, columns of different lengths, numbers that are not finite, or
            confidences or hits outside of [0, counts].

    Source: MOVER: Zou and Donner 2008; the rest is ours.

    >>> found = overconfidence_interval([0.99] * 6, [1] * 6, [1] * 6, list("abcdef"))
    >>> round(found.estimate, 3), round(found.high, 2)
    (-0.01, 0.64)
    """
    index, size = numbered(clusters)
    named = {"confidences": confidences, "hits": hits, "counts": counts}
    rows = np.hstack([table(name, column, len(index)) for name, column in named.items()])
    if (rows[:, :2] < 0).any() or (rows[:, :2] > rows[:, 2:] * (1 + 1e-12)).any():
        raise ValueError("confidences and hits must be in [0, counts]")
    gaps = [_gap(rows[side], index[side], size, level) for side in sides(paired, len(index))]
    found = [gap for gap in gaps if gap is not None]
    return _within(compared(found), len(gaps)) if len(found) == len(gaps) else None


def calibration_intercept_interval(
    confidence: ArrayLike,
    correct: ArrayLike,
    clusters: ArrayLike,
    *,
    paired: ArrayLike | None = None,
    level: float = LEVEL,
) -> Interval | None:
    """Interval of the calibration intercept, or of its difference in two conditions.

    Confidences that are shifted by the intercept are as often right as they say. How often they
    may truly be right is the interval of their overconfidence, which knows of errors that were not
    seen; its ends in log-odds are the shifts that make the mean confidence so much. A difference is
    that of two such intervals by MOVER, without a correlation.

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        correct: Whether each answer is right, [N].
        clusters: The image of each answer, [N].
        paired: Whether each answer is of the second condition, [N].
        level: Of the interval, in (0, 1).

    Returns:
        None as of `overconfidence_interval`, if all answers are right, or all wrong, and where an
        accuracy of 0 or 1 cannot be excluded: then there is no end.

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: ours; of accuracy: Korn and Graubard 1998.

    >>> found = calibration_intercept_interval([0.95, 0.9] * 20, [1, 1, 1, 0] * 10, range(40))
    >>> round(found.estimate, 2), round(found.low, 2), round(found.high, 2)
    (-1.44, -2.19, -0.65)
    """
    sure, right = answered(confidence, correct)
    index, _ = numbered(clusters)
    found = [
        _intercept(log_odds(sure[side]), right[side], index[side], level)
        for side in sides(paired, len(index))
    ]
    known = [interval for interval in found if interval is not None]
    if len(known) < len(found):
        return None
    return known[0] if len(known) == 1 else difference(known[0], known[1], 0.0)


def _intercept(odds: Floats, right: Bools, index: Ints, level: float) -> Interval | None:
    hits = float(right.sum())
    shift = shift_to(odds, hits)
    if shift is None:
        return None
    confidence, ones = expit(odds + shift), np.ones(odds.size)
    gap = overconfidence_interval(confidence, right, ones, index, level=level)
    if gap is None:
        return None
    low, high = (shift_to(odds, hits - odds.size * end) for end in (gap.high, gap.low))
    return None if low is None or high is None else Interval(shift, low, high)


def loss_interval(
    totals: ArrayLike,
    counts: ArrayLike,
    clusters: ArrayLike,
    *,
    paired: ArrayLike | None = None,
    level: float = LEVEL,
) -> Interval | None:
    """Interval of a mean of losses in [0, 1], or of its difference in two conditions.

    `mean_interval`; where the losses amount to those of fewer than 10 images, widened to the
    ends of `rate_interval`, which holds for any numbers in [0, 1].

    Args:
        totals: Sum of each row's losses, [N].
        counts: How many losses each row stands for, [N].
        clusters: The image of each row, [N].
        paired: Whether each row is of the second condition, [N].
        level: Of the interval, in (0, 1).

    Returns:
        None of under 5 images with a loss on a side, or one with over half of them.

    Raises:
        ValueError: As of `rate_interval`.

    >>> found = loss_interval([0.001] * 6, [1] * 6, list("abcdef"))
    >>> round(found.estimate, 3), round(found.high, 2)
    (0.001, 0.65)
    """
    index, size = numbered(clusters)
    total, count = table("totals", totals, len(index)), table("counts", counts, len(index))
    rates = [rate_of(total[s], count[s], index[s], size, level) for s in sides(paired, len(index))]
    found = [rate for rate in rates if rate is not None]
    if len(found) < len(rates):
        return None
    span = (-1.0 if len(rates) > 1 else 0.0, 1.0)
    mean = mean_interval(total, count, clusters, paired=paired, within=span, level=level)
    if mean is not None and not any(rate.few for rate in found):
        return mean
    wide = compared(found)
    if mean is None:
        return wide
    return Interval(mean.estimate, min(mean.low, wide.low), max(mean.high, wide.high))


def _gap(rows: Floats, index: Ints, clusters: int, level: float) -> RateEstimate | None:
    """Return confidence - accuracy, as a rate is returned."""
    confidences, hits, counts = np.split(rows, 3, axis=1)
    sure, right = (
        rate_of(column, counts, index, clusters, level) for column in (confidences, hits)
    )
    if sure is None or right is None:
        return None
    # Confidences that are all the same have no spread: as sure as a share of as many images.
    spread = mean_interval(confidences, counts, index, within=(0.0, 1.0), level=level)
    mean = spread or sure.interval
    found = difference(right.interval, mean, correlation(right, sure))
    return RateEstimate(_within(found, 1), sure.influence - right.influence, right.few)


def _within(found: Interval, conditions: int) -> Interval:
    """Clip the ends to the range of numbers in [-1, 1], or of differences of these."""
    low, high = (float(np.clip(end, -conditions, conditions)) for end in (found.low, found.high))
    return Interval(found.estimate, low, high)
