"""Intervals of AUROC that hold where most scores are equal, as confidences of exactly 1 are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri, stdtrit

from vlm_confidence_tasks.metrics.functional.checks import (
    Bools,
    Floats,
    Ints,
    flags,
    same_length,
    vector,
)
from vlm_confidence_tasks.metrics.functional.ranking import auroc_of_ranks, dense_ranks
from vlm_confidence_tasks.metrics.inference.clusters import (
    FEWEST_CLUSTERS,
    LEVEL,
    Interval,
    difference,
    numbered,
    seen_on,
    sides,
)
from vlm_confidence_tasks.metrics.inference.jackknife import ranking_interval
from vlm_confidence_tasks.metrics.inference.rates import FEW_EVENTS

# With this share of the frequent class on one score, and the rare class on fewer than `FEW_EVENTS`
# images beside it or at it, the spread of the rare class is not seen in the sample.
LARGE_TIE = 0.1


def auroc_interval(
    score: ArrayLike,
    positive: ArrayLike,
    clusters: ArrayLike,
    *,
    paired: ArrayLike | None = None,
    level: float = LEVEL,
) -> Interval | None:
    """Interval of AUROC, or of its difference in two conditions.

    The jackknife's (`ranking_interval`), unless a score is shared by at least a tenth of the class
    that is frequent, right answers say, and the rare class is on fewer than 10 images with that
    score, or with others: then the sample says too little of how rare answers differ. AUROC is
    the mean over them of their placement, the share of frequent ones that they win against. Where
    the shared score is the greatest or the least of all, placements lie on one side of its own;
    else in [0, 1]. In units of that range, a mean of numbers in [0, 1] spreads no more than a
    rate: it has the exact binomial interval of as many answers as there are effective images with
    rare ones, (sum n)^2 / sum n^2, times (z / t)^2 as in `rate_interval`. The jackknife's is
    joined with it.

    A difference is then that of two such intervals by MOVER, without a correlation.

    Args:
        score: Score of each answer, [N].
        positive: Whether each is a positive, [N].
        clusters: The image of each answer, [N].
        paired: Whether each answer is of the second condition, [N].
        level: Of the interval, in (0, 1).

    Returns:
        None where positives or negatives are on under 5 images.

    Source: ours; placements: DeLong, DeLong and Clarke-Pearson 1988.

    >>> found = auroc_interval([1.0] * 30 + [0.9] * 10, [0] * 6 + [1] * 34, range(40))
    >>> round(found.estimate, 2), round(found.low, 2), round(found.high, 2)
    (0.35, 0.28, 0.78)
    """
    scores, event = vector("score", score), flags("positive", positive)
    index, _ = numbered(clusters)
    same_length(score=scores, positive=event, clusters=index)
    smooth = ranking_interval(auroc_of_ranks, scores, event, index, paired=paired, level=level)
    conditions = sides(paired, scores.size)
    if not any(is_saturated(scores[s], event[s], index[s]) for s in conditions):
        return smooth
    found = [_alone(scores[side], event[side], index[side], level) for side in conditions]
    known = [interval for interval in found if interval is not None]
    if len(known) < len(found):
        return None
    return known[0] if len(known) == 1 else difference(known[0], known[1], 0.0)


def is_saturated(score: Floats, positive: Bools, clusters: Ints) -> bool:
    """Whether most scores are equal, and too little is seen of the rare class beside them.

    Args:
        score: Score of each answer of one condition, [N].
        positive: Whether each is a positive, [N].
        clusters: The image of each answer, [N].
    """
    rare = _rare(positive)
    values, count = np.unique(score[~rare], return_counts=True)
    if not count.size or count.max() < LARGE_TIE * count.sum():
        return False
    tied = score[rare] == values[count.argmax()]
    images = [np.unique(clusters[rare][rows]).size for rows in (tied, ~tied)]
    return min(images) < FEW_EVENTS


def _rare(positive: Bools) -> Bools:
    return positive if 2 * np.count_nonzero(positive) < positive.size else ~positive


def _alone(score: Floats, positive: Bools, index: Ints, level: float) -> Interval | None:
    """Return the interval of one condition."""
    smooth = ranking_interval(auroc_of_ranks, score, positive, index, level=level)
    if not is_saturated(score, positive, index):
        return smooth
    if min(seen_on(index, event) for event in (positive, ~positive)) < FEWEST_CLUSTERS:
        return None
    area = auroc_of_ranks(dense_ranks(score), positive)
    assert area is not None
    low, high = _binomial(score, positive, index, area, level)
    if smooth is not None:
        low, high = min(low, smooth.low), max(high, smooth.high)
    return Interval(area, low, high)


def _binomial(
    score: Floats, positive: Bools, index: Ints, area: float, level: float
) -> tuple[float, float]:
    """Return the binomial interval of the rare class's placements, in units of their range."""
    rare = _rare(positive)
    least, most = _range(score[rare], score[~rare], rare is positive)
    counts = np.bincount(index[rare]).astype(np.float64)
    images = float(counts.sum() ** 2 / (counts**2).sum())
    tail = (1.0 - level) / 2.0
    effective = images * (ndtri(tail) / stdtrit(images - 1.0, tail)) ** 2
    share = float(np.clip((area - least) / (most - least), 0.0, 1.0))
    events, misses = share * effective, (1.0 - share) * effective
    low = betaincinv(events, misses + 1.0, tail) if share > 0 else 0.0
    high = betaincinv(events + 1.0, misses, 1.0 - tail) if share < 1 else 1.0
    return float(least + (most - least) * low), float(least + (most - least) * high)


def _range(rare: Floats, frequent: Floats, rare_wins: bool) -> tuple[float, float]:
    """Return between which AUROCs a rare answer's placement lies, seen or not."""
    values, count = np.unique(frequent, return_counts=True)
    tie, half = values[count.argmax()], count.max() / frequent.size / 2.0
    top = tie >= max(values[-1], rare.max())
    bottom = tie <= min(values[0], rare.min())
    if top == bottom:
        return 0.0, 1.0
    # At the top a rare answer beats no fewer than those of the tie leave, or is beaten by less.
    return (half, 1.0) if top != rare_wins else (0.0, 1.0 - half)
