"""Rows grouped by image, and the interval that every method returns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from vlm_confidence_tasks.metrics.functional.checks import (
    Bools,
    Floats,
    Ints,
    flags,
    same_length,
    vector,
)

LEVEL = 0.95
# Beyond each end of an interval must lie as many draws.
LEAST_BEYOND = 5
# Fewer images say too little of how images differ: means of 2, 3 and 5 images were held by
# 51, 75 and 81% of intervals of a percentile bootstrap.
FEWEST_CLUSTERS = 5
# Nor do images of which one is nearly the whole mean: its weight hides what others add.
LARGEST_SHARE = 0.5
# A mean of which one image carries more of the variance gets no verdict: of skewed numbers up to
# 17% of such intervals miss, docs/studies/one-image.md.
LARGEST_INFLUENCE = 0.3


@dataclass(frozen=True)
class Interval:
    """A number and its confidence interval.

    Attributes:
        estimate: The number.
        low: Lower end.
        high: Upper end.
        influence: Of a mean, the share of its variance that the most influential image carries.
    """

    estimate: float
    low: float
    high: float
    influence: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside, and no single image decides that at 95%."""
        return not (self.low <= 0 <= self.high or one_image_decides(self.influence))

    def holding(self, estimate: float) -> Interval:
        """Return the interval of another estimate, widened to hold it."""
        return Interval(estimate, min(self.low, estimate), max(self.high, estimate))


def one_image_decides(influence: float | None) -> bool:
    """Whether one image carries so much of a mean's variance that no test of it holds at 5%."""
    return influence is not None and influence > LARGEST_INFLUENCE


def smallest_alpha(influence: float | None) -> float:
    """Return the level under which no test of a mean holds, by its most influential image.

    alpha = 2 P(Z > z) with influence = 0.3 (1.96 / z)^2.5: the further out in the tail, the less
    one image may carry, since a sample that lacks the image that matters shows nothing of it.
    The bound at 95% and the power are set by simulation: docs/studies/one-image.md.

    >>> [round(smallest_alpha(share), 5) for share in (0.3, 0.1, 0.03)]
    [0.05, 0.00235, 0.0]
    """
    if not influence:
        return 0.0
    furthest = -ndtri((1.0 - LEVEL) / 2.0)
    return float(2.0 * ndtr(-furthest * (LARGEST_INFLUENCE / influence) ** 0.4))


def difference(first: Interval, second: Interval, together: float) -> Interval:
    """Return the interval of second - first, from those of both, by MOVER.

    low = d - sqrt(a^2 - 2 r a b + b^2), with d the difference of the estimates,
    a = second's estimate - low, b = first's high - estimate; high = d + that root with
    a = second's high - estimate, b = first's estimate - low.

    Args:
        first: Of the first condition.
        second: Of the second condition.
        together: The correlation r of both numbers.

    Source: Zou and Donner 2008.

    >>> found = difference(Interval(0.5, 0.2, 0.7), Interval(0.5, 0.1, 0.8), 0.0)
    >>> round(found.low, 3), round(found.high, 3)
    (-0.447, 0.424)
    """

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a - 2.0 * together * a * b + b * b))

    moved = second.estimate - first.estimate
    return Interval(
        moved,
        moved - reach(second.estimate - second.low, first.high - first.estimate),
        moved + reach(second.high - second.estimate, first.estimate - first.low),
    )


def effective_clusters(counts: Floats | Ints) -> float:
    """Return how many images of equal weight say as much as these, by their rows, [K].

    (sum n)^2 / sum n^2. Source: Kish 1965, section 11.7.

    >>> effective_clusters(np.array([2, 2, 2])), effective_clusters(np.array([4, 1, 1]))
    (3.0, 2.0)
    """
    rows = np.asarray(counts, dtype=np.float64)
    return float(rows.sum() ** 2 / np.square(rows).sum())


def too_few(counts: Floats | Ints) -> bool:
    """Whether images say too little of how images differ, by their rows, [K].

    Under 5 have rows, or one has over half of them, or the K images are worth fewer than 0.3 K + 5
    equal ones (K / 2 of under 25). Where sizes differ more, a few large images make the number, of
    which the sample may hold none: with 1 to 200 questions an image, large images rare and harder,
    10 to 28% of the intervals missed (docs/studies/coverage.md).
    """
    images = int(np.count_nonzero(counts))
    if images < FEWEST_CLUSTERS or counts.max() > LARGEST_SHARE * counts.sum():
        return True
    return effective_clusters(counts) < 0.3 * images + min(5.0, 0.2 * images) - 1e-9


def draws_for(level: float, least: int) -> int:
    """Return how many draws an interval needs, so that some lie beyond each of its ends.

    >>> draws_for(0.95, 2000), draws_for(0.999, 2000)
    (2000, 10000)
    """
    return max(least, math.ceil(2 * LEAST_BEYOND / (1.0 - level) - 1e-6))


def seen_on(clusters: ArrayLike, event: ArrayLike, paired: ArrayLike | None = None) -> int:
    """Count the images with an event, of the condition with fewest.

    Args:
        clusters: The image of each row, [N].
        event: Whether it is seen in each row, [N].
        paired: Whether each row is of the second condition, [N].

    >>> seen_on(["a", "a", "b", "c"], [1, 1, 1, 0])
    2
    """
    index, _ = numbered(clusters)
    seen = flags("event", event)
    counts = (np.bincount(index, seen & side) for side in sides(paired, len(index)))
    return min(int(np.count_nonzero(count)) for count in counts)


def numbered(clusters: ArrayLike) -> tuple[Ints, int]:
    """Number the clusters of rows from 0 in the order of their names.

    Args:
        clusters: The cluster of each row, [N], numbers or text: the image.

    Returns:
        The number of each row's cluster, [N], and how many clusters there are.

    Raises:
        ValueError: There are no rows, or the shape is not [N].
    """
    labels = np.asarray(clusters)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"clusters must be a non-empty vector, got shape {labels.shape}")
    names, index = np.unique(labels, return_inverse=True)
    return index, names.size


def sums(index: Ints, clusters: int, columns: Floats) -> Floats:
    """Add the rows of each cluster up: [N, C] -> [K, C]."""
    return np.column_stack([np.bincount(index, column, clusters) for column in columns.T])


def sides(paired: ArrayLike | None, rows: int) -> tuple[Bools, ...]:
    """Return which rows are of each condition: all, or those not `paired` and those that are.

    Raises:
        ValueError: `paired` is not [N] of 0 and 1.
    """
    if paired is None:
        return (np.ones(rows, dtype=np.bool_),)
    second = flags("paired", paired)
    same_length(paired=second, rows=range(rows))
    return ~second, second


def table(name: str, columns: ArrayLike, rows: int) -> Floats:
    """Return columns as [N, C] of finite numbers.

    Raises:
        ValueError: They are not.
    """
    array = np.asarray(columns, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2:
        raise ValueError(f"{name} must be [N] or [N, C], got shape {array.shape}")
    vector(name, array.ravel())
    if len(array) != rows:
        raise ValueError(f"{name} has {len(array)} rows, clusters {rows}")
    return array
