"""Tests that invert an interval, so that the two cannot disagree."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from scipy.special import ndtr, ndtri

from vlm_confidence_tasks.metrics.inference.clusters import (
    LEVEL,
    Interval,
    one_image_decides,
    smallest_alpha,
)

# p of 1e-14, as a quantile of the normal distribution: smaller ones are not told apart.
_FURTHEST = 7.7
_HALVINGS = 14


def inverted_p(at: Callable[[float], Interval | None]) -> float | None:
    """Return the smallest level at which an interval excludes 0, by halving, as a two-sided p.

    Args:
        at: Gives the interval of a level; wider ones hold narrower ones.

    Returns:
        p, at least `smallest_alpha`. None where there is no interval, or one image decides.

    >>> round(inverted_p(lambda level: Interval(1.0, 0.99 - level, 2.0)), 4)
    0.01
    """

    def excludes(z: float) -> bool:
        found = at(1.0 - 2.0 * float(ndtr(-z)))
        return found is not None and not found.low <= 0 <= found.high

    plain = at(LEVEL)
    if plain is None or one_image_decides(plain.influence):
        return None
    # From the 95% interval on, so that p is on its side of 0.05.
    middle = float(ndtri((1.0 + LEVEL) / 2.0))
    excluded = not plain.low <= 0 <= plain.high
    nearest, furthest = (middle, _FURTHEST) if excluded else (0.0, middle)
    for _ in range(_HALVINGS):
        middle = (nearest + furthest) / 2.0
        nearest, furthest = (middle, furthest) if excludes(middle) else (nearest, middle)
    return max(2.0 * float(ndtr(-(nearest + furthest) / 2.0)), smallest_alpha(plain.influence))


def equivalence_p(at: Callable[[float], Interval | None], bound: float) -> float | None:
    """Return the smallest level at which an interval lies between -bound and bound, as a p.

    It tests that a difference is not as large as the bound. Two one-sided tests at 5% ask for the
    90% interval; here p is under 0.05 where the 95% interval lies inside, for what intervals of
    skewed numbers miss lies on one side: of those of 90% up to 14% wrongly lay inside, of these 7%
    (scripts/studies/comparison_error_rate.py).

    Args:
        at: Gives the interval of a level; wider ones hold narrower ones.
        bound: The smallest difference that matters, over 0.

    Returns:
        p, at least `smallest_alpha`. None where there is no interval, or one image decides.

    Source: Schuirmann 1987; Lakens 2017.

    >>> round(equivalence_p(lambda level: Interval(0.0, -level, level), 0.99), 4)
    0.01
    """

    def room(level: float) -> Interval | None:
        found = at(level)
        if found is None:
            return None
        left = bound - max(found.high, -found.low)
        return Interval(found.estimate, left, inf, found.influence)

    return inverted_p(room)
