"""Intervals of rates that hold near 0 and 1, with answers in clusters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri, stdtrit

from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.inference.clusters import (
    LEVEL,
    Interval,
    difference,
    effective_clusters,
    numbered,
    sides,
    sums,
    table,
    too_few,
)

# With an event on fewer images than this (or half of them), how events of one image go
# together cannot be estimated.
FEW_EVENTS = 10


@dataclass(frozen=True)
class RateEstimate:
    """One rate.

    Attributes:
        interval: The rate and its interval.
        influence: How much it moves without each image, [K].
        few: Whether the event, or its absence, is seen on too few images to tell how events
            of one image go together.
    """

    interval: Interval
    influence: Floats
    few: bool


def rate_interval(
    hits: ArrayLike,
    counts: ArrayLike,
    clusters: ArrayLike,
    *,
    paired: ArrayLike | None = None,
    level: float = LEVEL,
) -> Interval | None:
    """Interval of sum(hits) / sum(counts), or of its difference in two conditions.

    Korn and Graubard's: the exact binomial (Clopper-Pearson) interval of n* answers, with
    n* = p (1 - p) / v * (z / t)^2, v the jackknife's variance of p over images, and z, t (at 95%)
    the 97.5% quantiles of the normal and of Student's t with (effective images - 1) degrees of
    freedom (`effective_clusters`). n*
    is at most the number of rows; it is at most the number of images where the event, or its
    absence, is seen on fewer than min(10, images / 2) images: then v says little. At a rate of
    0 of k images the upper end is 1 - 0.025^(1/n*), and never 0.

    A difference is that of two such intervals by MOVER, with their correlation over images.

    Args:
        hits: Number of events of each row (a document), [N]; [N, F] for the mean of F rates.
        counts: How many there could be, of the same shape.
        clusters: The image of each row, [N].
        paired: Whether each row is of the second condition, [N].
        level: Of the interval, in (0, 1).

    Returns:
        None if a rate does not exist, and of images that are `too_few`.

    Raises:
        ValueError: No rows, columns of different lengths, numbers that are not finite, or
            hits outside of [0, counts].

    Source: Korn and Graubard 1998; NCHS 2017 (Vital and Health Statistics 2, 175); MOVER:
    Zou and Donner 2008.

    >>> found = rate_interval([0, 0, 0, 0, 0, 0], [1] * 6, list("abcdef"))
    >>> round(found.low, 3), round(found.high, 3)
    (0.0, 0.653)
    """
    index, size = numbered(clusters)
    hit, count = table("hits", hits, len(index)), table("counts", counts, len(index))
    if (hit < 0).any() or (hit > count * (1 + 1e-12)).any():
        raise ValueError("hits must be in [0, counts]")
    rates = [
        rate_of(hit[side], count[side], index[side], size, level)
        for side in sides(paired, len(index))
    ]
    found = [rate for rate in rates if rate is not None]
    return compared(found) if len(found) == len(rates) else None


def compared(rates: Sequence[RateEstimate]) -> Interval:
    """Return the interval of a rate, or of the second of two less the first."""
    if len(rates) == 1:
        return rates[0].interval
    first, second = rates
    return difference(first.interval, second.interval, correlation(first, second))


def rate_of(
    hits: Floats, counts: Floats, index: Ints, clusters: int, level: float = LEVEL
) -> RateEstimate | None:
    """Return the rate of rows, [N, F] each, of clusters numbered from 0: see `rate_interval`."""
    hit, count = sums(index, clusters, hits), sums(index, clusters, counts)
    images = np.count_nonzero(count.any(axis=1))
    if too_few(count.sum(axis=1)) or not count.sum(axis=0).all():
        return None
    total = count.sum(axis=0)
    shares = hit.sum(axis=0) / total
    rate = float(shares.mean())
    others = np.maximum(total - count, 1e-300)
    influence = ((shares * count - hit) / others).mean(axis=1)
    variance = (images - 1) / images * float((influence**2).sum())
    rows = np.count_nonzero(counts.any(axis=1))
    effective = min(rows, rate * (1.0 - rate) / variance) if variance > 0 else rows
    seen = hit.sum(axis=1)
    # Images with an event; of numbers between 0 and 1, as many as these amount to.
    events = min(np.minimum(each, 1.0).sum() for each in (seen, count.sum(axis=1) - seen))
    few = bool(events < min(FEW_EVENTS, images / 2))
    if few:
        effective = min(effective, images)
    tail = (1.0 - level) / 2.0
    freedom = effective_clusters(count.sum(axis=1)) - 1.0
    effective *= (ndtri(tail) / stdtrit(freedom, tail)) ** 2
    events, misses = rate * effective, (1.0 - rate) * effective
    low = betaincinv(events, misses + 1.0, tail) if rate > 0 else 0.0
    high = betaincinv(events + 1.0, misses, 1.0 - tail) if rate < 1 else 1.0
    return RateEstimate(Interval(rate, float(low), float(high)), influence, few)


def correlation(first: RateEstimate, second: RateEstimate) -> float:
    """Correlate two rates over images; 0 where one does not move."""
    return together(first.influence, second.influence)


def together(first: Floats, second: Floats) -> float:
    """Correlate how two numbers move with each of the same images, [K]; 0 where one does not."""
    size = math.sqrt(float((first**2).sum() * (second**2).sum()))
    found = float(first @ second) / size if size else 0.0
    # Runs that agree on all of K images may differ on others: of width 0 their difference is not.
    return min(found, 1.0 - 2.0 / first.size)
