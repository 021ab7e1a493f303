"""Intervals of means: the studentized bootstrap over images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from vlm_confidence_tasks.metrics.functional.checks import Floats, positive_integer
from vlm_confidence_tasks.metrics.inference.clusters import (
    LEVEL,
    Interval,
    draws_for,
    numbered,
    sides,
    sums,
    table,
    too_few,
)

DRAWS = 2000

# How many cluster weights are held at once: 64 MiB of float32.
_BLOCK = 1 << 24
# Under this share of a mean's variance, what is left of it is rounding.
_NO_SPREAD = 1e-20
_ROUNDING = 1e-6


def _drawn(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    """Yield how often each draw takes each cluster, [B, K]; the same at every call."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // clusters)
    for done in range(0, draws, block):
        size = min(block, draws - done), clusters
        cells = rng.integers(clusters, size=size, dtype=np.int32)
        cells += clusters * np.arange(size[0], dtype=np.int32)[:, None]
        counts = np.bincount(cells.ravel(), minlength=cells.size).reshape(size)
        yield counts.astype(np.float32)


@lru_cache(maxsize=1)
def _kept(clusters: int, draws: int, seed: int) -> tuple[Floats, ...]:
    """Keep the weights of one block for the next metric on as many clusters."""
    return tuple(_drawn(clusters, draws, seed))


def _weighted(columns: Floats, draws: int, seed: int) -> Floats:
    """Return the sums of [K, C] columns in each draw, [B, C]."""
    clusters = len(columns)
    blocks = _kept if clusters * draws <= _BLOCK else _drawn
    return np.concatenate(
        [block @ columns.astype(np.float32) for block in blocks(clusters, draws, seed)]
    ).astype(np.float64)


def mean_interval(
    totals: ArrayLike,
    counts: ArrayLike,
    clusters: ArrayLike,
    *,
    paired: ArrayLike | None = None,
    within: tuple[float, float] = (-np.inf, np.inf),
    level: float = LEVEL,
    draws: int | None = None,
    seed: int = 0,
) -> Interval | None:
    """Interval of sum(totals) / sum(counts), or of its difference in two conditions.

    Images are drawn with replacement and bring all of their rows. Each draw's distance from
    the estimate is divided by its own standard error, the linearised one of a ratio:
    t* = (m* - m) / se*. At 95% the interval is [m - q(97.5%) se, m - q(2.5%) se] with quantiles q
    of t*, at least those of Student's t with (images - 1) degrees of freedom, and the jackknife's
    se (times sqrt((K - 1) / K), as the draws have it). Skewed numbers and few images are held by
    it, where a percentile interval is too narrow.

    Args:
        totals: Sum of each row's numbers, [N].
        counts: How many numbers each row stands for, [N] (or what else divides the totals).
        clusters: The image of each row, [N].
        paired: Whether each row is of the second condition, [N]. If given, the interval is
            of the second's mean minus the first's, on the same drawn images.
        within: The range that the number cannot leave; the ends are clipped to it.
        level: Of the interval, in (0, 1).
        draws: Number of draws; None: 2,000, or more at a level that needs them.
        seed: Seed of the generator of this call; no global state is used.

    Returns:
        None if a mean does not exist, of under 5 images with a count on a side or one with over
        half of it, and if all images agree, since these say nothing of how images differ.

    Raises:
        ValueError: No rows, columns of different lengths, numbers that are not finite, a count
            that is negative or is 0 beside a total, or `draws` under 1.

    Source: Efron and Tibshirani 1993, section 12.5; clusters: Cameron, Gelbach and Miller 2008.

    >>> found = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0], [1] * 5, list("abcde"))
    >>> found.estimate, found.low < 2.0, found.high > 4.0
    (3.0, True, True)
    """
    index, size = numbered(clusters)
    rows = np.hstack([table("totals", totals, len(index)), table("counts", counts, len(index))])
    draws = draws_for(level, DRAWS) if draws is None else positive_integer("draws", draws)
    if (rows[:, 1] < 0).any() or rows[rows[:, 1] == 0, 0].any():
        raise ValueError("counts must not be negative, nor 0 where there is a total")
    parts = [sums(index, size, rows * side[:, None]) for side in sides(paired, len(index))]
    if any(too_few(part[:, 1]) for part in parts):
        return None
    signs = (1.0,) if len(parts) == 1 else (-1.0, 1.0)
    means = [part[:, 0].sum() / part[:, 1].sum() for part in parts]
    estimate = float(np.dot(signs, means))
    shares = np.column_stack([part[:, 1] / part[:, 1].sum() for part in parts])
    influence = np.column_stack(
        [part[:, 0] / part[:, 1].sum() for part in parts]
    ) - shares * np.array(means)
    moved = (influence / (1.0 - shares)) @ np.array(signs)
    spread = float(((moved - moved.mean()) ** 2).sum())
    if spread <= _NO_SPREAD * max(float(np.square(means).max()), _NO_SPREAD):
        return None
    error = np.sqrt(spread) * (size - 1) / size
    studentized = _studentized(influence / error, shares, np.array(signs), draws, seed)
    if not studentized.size:
        # No draw has two images that differ: Student's width is left.
        studentized = np.zeros(1)
    tail = (1.0 - level) / 2.0
    # Infinite where a draw's images agree: quantiles must not interpolate between these.
    low, high = np.quantile(studentized, [tail, 1.0 - tail], method="inverted_cdf")
    # Student's own error has not the draws' factor.
    least = stdtrit(size - 1, 1.0 - tail) * np.sqrt(size / (size - 1))
    ends = (
        estimate - error * max(high if np.isfinite(high) else 0.0, least),
        estimate - error * min(low if np.isfinite(low) else 0.0, -least),
    )
    return Interval(estimate, *(float(np.clip(end, *within)) for end in ends))


def _studentized(influence: Floats, shares: Floats, signs: Floats, draws: int, seed: int) -> Floats:
    """Return (m* - m) / se* of the draws in which a mean exists, [<= B].

    With influence e and share w of each image, the draw's weights c give
    m* - m = sum(c e) / sum(c w) =: d, and e* = (e - d w) / sum(c w), se*^2 = sum(c e*^2): of
    two conditions, e* is the difference.
    """
    columns = np.hstack([influence, shares])
    first, second = np.triu_indices(columns.shape[1])
    table = np.hstack([columns, columns[:, first] * columns[:, second]])
    drawn = _weighted(table, draws, seed)
    conditions = len(signs)
    drawn = drawn[(drawn[:, conditions : 2 * conditions] > 0).all(axis=1)]
    weight = drawn[:, conditions : 2 * conditions]
    moved = drawn[:, :conditions] / weight
    coefficients = np.hstack([signs / weight, -signs * moved / weight])
    products = drawn[:, 2 * conditions :] * np.where(first == second, 1.0, 2.0)
    variance = (products * coefficients[:, first] * coefficients[:, second]).sum(axis=1)
    distance = moved @ signs
    # In units of the standard error; what is smaller is the rounding of float32.
    spread, away = variance > _ROUNDING, np.abs(distance) > _ROUNDING
    ratio = distance / np.sqrt(np.where(spread, variance, 1.0))
    studentized: Floats = np.where(spread, ratio, np.copysign(np.inf, distance))[spread | away]
    return studentized
