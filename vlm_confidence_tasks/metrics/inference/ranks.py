"""Intervals of models' ranks by one number, on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import stdtrit

from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, Interval, difference
from vlm_confidence_tasks.metrics.inference.means import mean_interval
from vlm_confidence_tasks.metrics.inference.rates import together

Rank = tuple[int, int]


@dataclass(frozen=True)
class Standing:
    """What it takes to tell a model's number from another's on the same images.

    Attributes:
        interval: Of the number, at `level`.
        level: That of `level_among`.
        influence: How far the number moves without each image, [I], NaN where the image has no
            answer that counts; None of a number that is no ratio of sums.
    """

    interval: Interval
    level: float
    influence: Floats | None = None


def level_among(models: int, paired: bool) -> float:
    """Return the level of intervals from which ranks are told, so that all hold together at 95%.

    1 - 0.05 / tests: of differences of two models there are K (K - 1) / 2, of numbers K
    (Bonferroni).

    >>> [round(level_among(models, True), 4) for models in (2, 10)], level_among(10, False)
    ([0.95, 0.9989], 0.995)
    """
    tests = models * (models - 1) // 2 if paired else models
    return 1.0 - (1.0 - LEVEL) / tests


def ratio_influence(above: Floats, below: Floats, image: Ints, images: int) -> Floats:
    """Return how far sum(above) / sum(below) moves without each image, [I], NaN of no answer.

    Args:
        above: Numerator of each answer, [N].
        below: Denominator of each answer, [N], not negative; of a mean, 1.
        image: Image of each answer, [N], numbered from 0.
        images: How many images there are.

    >>> ones = np.ones(3)
    >>> ratio_influence(np.array([1.0, 0.0, 0.0]), ones, np.array([0, 1, 3]), 4).round(3)
    array([-0.333,  0.167,    nan,  0.167])
    """
    total, count = (np.bincount(image, each, images) for each in (above, below))
    ratio, others = total.sum() / count.sum(), count.sum() - count
    moved = (ratio * count - total) / np.maximum(others, 1e-300)
    return np.where(np.bincount(image, minlength=images) > 0, moved, np.nan)


def rank_intervals(standings: Sequence[Standing | None], higher_is_better: bool) -> list[Rank]:
    """Return the lowest and the highest rank that each of K models may have; 1 is the best.

    [1 + models certainly better, K - models certainly worse]. With 95% all of these hold at once:
    no model is called better than one that is not. Equal models may share a rank, and that they do
    is no finding: two whose intervals overlap need not be equal.

    A ratio of sums is compared in pairs: a model is certainly better where the interval of the
    difference excludes 0. Of rates it is by MOVER from those of both, with their correlation over
    images, as in `rate_interval`; of means `mean_interval` of the jackknife's pseudo-values. Of
    other numbers the intervals must lie apart. Where one image decides, nothing is certain.

    Args:
        standings: Of each model; None of one whose number has no interval, which may have any rank.
        higher_is_better: Whether the highest number has rank 1.

    Source: Mogstad, Romano, Shaikh and Wilhelm 2024 (ranks from differences that hold together);
    Klein, Wright and Wieczorek 2020 (from intervals that lie apart).

    >>> apart = [Standing(Interval(m, m - 0.1, m + 0.1), 0.98) for m in (0.5, 0.9, 0.85)]
    >>> rank_intervals(apart, higher_is_better=True)
    [(3, 3), (1, 2), (1, 2)]
    """
    models = len(standings)
    above = np.zeros((models, models), dtype=np.bool_)
    for first, second in combinations(range(models), 2):
        sign = _order(standings[first], standings[second])
        above[second, first], above[first, second] = sign > 0, sign < 0
    better = above if higher_is_better else above.T
    return [
        (1 + int(better[:, model].sum()), models - int(better[model].sum()))
        for model in range(models)
    ]


def _order(first: Standing | None, second: Standing | None) -> int:
    """Return 1 if the second number is certainly above the first, -1 if below, else 0."""
    if first is None or second is None:
        return 0
    found = _difference(first, second)
    return 0 if found is None or not found.excludes_zero else int(np.sign(found.low))


def _difference(first: Standing, second: Standing) -> Interval | None:
    """Return the interval of the second number less the first; of means None if it holds 0."""
    one, other = first.interval, second.interval
    if first.influence is None or second.influence is None:
        shares = [share for share in (one.influence, other.influence) if share is not None]
        ends = (other.estimate - one.estimate, other.low - one.high, other.high - one.low)
        return Interval(*ends, max(shares, default=None))
    shown = ~(np.isnan(first.influence) & np.isnan(second.influence))
    moved = np.nan_to_num(np.stack([first.influence, second.influence])[:, shown])
    if one.influence is None or other.influence is None:
        return difference(one, other, together(*moved))
    images = moved.shape[1]
    pseudo = other.estimate - one.estimate + (images - 1) * (moved[0] - moved[1])
    level = min(first.level, second.level)
    error = pseudo.std(ddof=1) / np.sqrt(images)
    # Most differences lie within Student's width, and `mean_interval` is never narrower.
    if abs(pseudo.mean()) < 0.999 * error * stdtrit(images - 1, (1.0 + level) / 2.0):
        return None
    return mean_interval(pseudo, np.ones(images), np.arange(images), level=level)
