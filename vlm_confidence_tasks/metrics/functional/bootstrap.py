"""Intervals from a bootstrap over clusters: all questions of an image go together.

Answers about one image are not independent, so images are drawn, with replacement, and
bring all of their rows. A difference between two conditions is paired: both are taken
from the same drawn images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vlm_confidence_tasks.metrics.functional.calibration import N_BINS, uniform_bins
from vlm_confidence_tasks.metrics.functional.checks import (
    Bools,
    Floats,
    Ints,
    answered,
    flags,
    positive_integer,
    same_length,
    vector,
)

Counts = NDArray[np.unsignedinteger[Any]]

DRAWS = 2000
LEVEL = 0.95

# Clusters drawn at once: bounds memory, and both paths use the same so that they agree.
_BLOCK = 1 << 18
# Counts up to this many are cached for the next metric on as many clusters: 64 MiB with
# 2,000 draws.
_CACHED_COUNTS = 1 << 25


@dataclass(frozen=True)
class Interval:
    """A number and how far it may be off.

    Attributes:
        estimate: The metric on the data itself.
        low: Lower end of the percentile interval.
        high: Upper end of the percentile interval.
        draws: Draws in which the metric was defined; the ends are taken over these.
    """

    estimate: float
    low: float
    high: float
    draws: int


def _drawn(clusters: int, draws: int, seed: int) -> Iterator[Ints]:
    """Yield the clusters of a few draws at a time, [B, K]; the same at every call."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // clusters)
    for done in range(0, draws, block):
        size = min(block, draws - done), clusters
        yield rng.integers(clusters, size=size, dtype=np.int32).astype(np.intp)


def _counts(clusters: int, draws: int, seed: int) -> Iterator[Counts]:
    """Yield how often each cluster was drawn, in the draws of `_drawn`, [B, K]."""
    for drawn in _drawn(clusters, draws, seed):
        cells = drawn + clusters * np.arange(len(drawn))[:, None]
        counts = np.bincount(cells.ravel(), minlength=cells.size).reshape(drawn.shape)
        yield counts.astype(np.min_scalar_type(clusters))


@lru_cache(maxsize=1)
def _cached_counts(clusters: int, draws: int, seed: int) -> tuple[Counts, ...]:
    return tuple(_counts(clusters, draws, seed))


class _Clusters:
    """Rows grouped by cluster, and the draws over these."""

    def __init__(self, clusters: ArrayLike, draws: int, seed: int) -> None:
        labels = np.asarray(clusters)
        if labels.ndim != 1 or labels.size == 0:
            raise ValueError(f"clusters must be a non-empty vector, got shape {labels.shape}")
        _, self.index, self.size = np.unique(labels, return_inverse=True, return_counts=True)
        self.draws = positive_integer("draws", draws)
        self.seed = seed
        self._rows = np.argsort(self.index, kind="stable")
        self._start = np.cumsum(self.size) - self.size

    def blocks(self) -> Iterator[Ints]:
        """Yield the clusters of a few draws at a time, [B, K]; the same at every call."""
        return _drawn(self.size.size, self.draws, self.seed)

    def rows(self, drawn: Ints) -> Ints:
        """Return the rows of the drawn clusters, one cluster after the other."""
        size = self.size[drawn]
        shift = self._start[drawn] - (np.cumsum(size) - size)
        rows: Ints = self._rows[np.repeat(shift, size) + np.arange(size.sum())]
        return rows

    def sums(self, columns: Floats) -> Iterator[Floats]:
        """Yield the sum of each of the [N, C] columns over the rows of each draw, [C]."""
        clusters = self.size.size
        table = np.zeros((clusters, columns.shape[1]))
        np.add.at(table, self.index, columns)
        few = clusters * self.draws <= _CACHED_COUNTS
        for counts in (_cached_counts if few else _counts)(clusters, self.draws, self.seed):
            yield from counts.astype(np.float64) @ table


def _interval(estimate: float | None, drawn: list[float | None], level: float) -> Interval | None:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    defined = [value for value in drawn if value is not None]
    if estimate is None or not defined:
        return None
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(vector("drawn metric", defined), [tail, 100.0 - tail])
    return Interval(estimate=estimate, low=float(low), high=float(high), draws=len(defined))


def _minus(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base


def _side(paired: ArrayLike | None, rows: int) -> Bools | None:
    if paired is None:
        return None
    side = flags("paired", paired)
    same_length(paired=side, rows=range(rows))
    return side


def bootstrap_interval(
    metric: Callable[[Ints], float | None],
    clusters: ArrayLike,
    *,
    paired: ArrayLike | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval | None:
    """Percentile interval of any metric, or of its difference between two conditions.

    Args:
        metric: Takes row indices, [any], with repeats, and returns the metric on those
            rows, or None where it is undefined. It is never called without rows.
        clusters: The cluster of each row, [N], numbers or text: the image id.
        paired: Whether each row is of the second condition, [N]. If given, the interval
            is of metric(rows that are) - metric(rows that are not).
        draws: Number of draws.
        level: Share of the draws that the interval holds.
        seed: Seed of the generator of this call; no global state is used.

    Returns:
        None if the metric is undefined on the data itself or in every draw.

    Raises:
        ValueError: No rows, columns of different lengths, `draws` under 1, `level`
            outside (0, 1), or a metric that is not finite.

    Source: Efron and Tibshirani 1993, chapter 13; clusters: Field and Welsh 2007.

    >>> import numpy as np
    >>> correct = np.array([1.0, 1.0, 0.0, 1.0])
    >>> bootstrap_interval(lambda rows: correct[rows].mean(), ["a", "a", "b", "b"]).estimate
    0.75
    """
    groups = _Clusters(clusters, draws, seed)
    side = _side(paired, groups.index.size)

    def defined(rows: Ints) -> float | None:
        value = metric(rows) if rows.size else None
        return None if value is None else float(value)

    def of(rows: Ints) -> float | None:
        if side is None:
            return defined(rows)
        return _minus(defined(rows[side[rows]]), defined(rows[~side[rows]]))

    estimate = of(np.arange(groups.index.size))
    drawn = [of(groups.rows(clusters)) for block in groups.blocks() for clusters in block]
    return _interval(estimate, drawn, level)


def bootstrap_sums_interval(
    statistic: Callable[[Floats], float | None],
    columns: ArrayLike,
    clusters: ArrayLike,
    *,
    paired: ArrayLike | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval | None:
    """Do what `bootstrap_interval` does, fast, for a metric that is a function of sums.

    Means, F1 and the ECE of fixed bins need only the sums of some columns over the drawn
    rows, and these come from one product of counts and per-cluster sums. The draws are
    those of `bootstrap_interval`, so that both give the same interval.

    Args:
        statistic: Takes the column sums, [C], and returns the metric, or None.
        columns: One row an instance, [N, C].
        clusters: As in `bootstrap_interval`, and so are the others.
        paired: See there.
        draws: See there.
        level: See there.
        seed: See there.

    Returns:
        None if the metric is undefined on the data itself or in every draw.

    Raises:
        ValueError: As `bootstrap_interval`, or `columns` is not [N, C] of finite numbers.

    >>> rows = [[1.0, 1.0], [0.0, 1.0]]
    >>> bootstrap_sums_interval(lambda s: s[0] / s[1], rows, [7, 8]).estimate
    0.5
    """
    groups = _Clusters(clusters, draws, seed)
    table = np.asarray(columns, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"columns must be [N, C], got shape {table.shape}")
    vector("columns", table.ravel())
    same_length(columns=table, clusters=groups.index)
    side = _side(paired, groups.index.size)
    if side is not None:
        table = np.hstack([table * side[:, None], table * ~side[:, None]])

    def defined(sums: Floats) -> float | None:
        value = statistic(sums)
        return None if value is None else float(value)

    def of(sums: Floats) -> float | None:
        if side is None:
            return defined(sums)
        half = sums.size // 2
        return _minus(defined(sums[:half]), defined(sums[half:]))

    estimate = of(table.sum(axis=0))
    return _interval(estimate, [of(sums) for sums in groups.sums(table)], level)


def _mean(sums: Floats) -> float | None:
    return float(sums[0] / sums[1]) if sums[1] else None


def bootstrap_mean_interval(
    values: ArrayLike,
    clusters: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    paired: ArrayLike | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval | None:
    """Percentile interval of a mean over rows, or of a difference of two such means.

    Args:
        values: One number an instance, or the mean of several, [N].
        clusters: As in `bootstrap_interval`, and so are the others.
        weights: How many instances each value stands for, [N]; one each if None.
        paired: See there.
        draws: See there.
        level: See there.
        seed: See there.

    Raises:
        ValueError: As `bootstrap_interval`, or a value that is not finite, or a weight
            that is negative.

    >>> bootstrap_mean_interval([1.0, 1.0, 1.0], ["a", "a", "b"])
    Interval(estimate=1.0, low=1.0, high=1.0, draws=2000)
    """
    column = vector("values", values)
    weight = np.ones_like(column) if weights is None else vector("weights", weights, 0.0)
    same_length(values=column, weights=weight)
    return bootstrap_sums_interval(
        _mean,
        np.column_stack([column * weight, weight]),
        clusters,
        paired=paired,
        draws=draws,
        level=level,
        seed=seed,
    )


def _ece(sums: Floats) -> float | None:
    return float(np.abs(sums[1:]).sum() / sums[0]) if sums[0] else None


def bootstrap_ece_interval(
    confidence: ArrayLike,
    correct: ArrayLike,
    clusters: ArrayLike,
    *,
    n_bins: int = N_BINS,
    paired: ArrayLike | None = None,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval | None:
    """Percentile interval of the equal-width ECE, or of a difference of two.

    Equal-width bins do not move with the draw, so N ECE is the sum over bins of
    abs(sum of correct - confidence). Quantile bins do: use `bootstrap_interval`.

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        correct: Whether each answer is right, [N].
        clusters: As in `bootstrap_interval`, and so are the others.
        n_bins: Number of bins.
        paired: See there.
        draws: See there.
        level: See there.
        seed: See there.

    Raises:
        ValueError: As `bootstrap_interval` and `expected_calibration_error`.

    >>> bootstrap_ece_interval([1.0, 0.5], [1, 1], ["a", "b"]).estimate
    0.25
    """
    confidence, correct = answered(confidence, correct)
    bins = uniform_bins(confidence, positive_integer("n_bins", n_bins))
    columns = np.zeros((confidence.size, 1 + n_bins))
    columns[:, 0] = 1.0
    columns[np.arange(confidence.size), 1 + bins] = correct - confidence
    return bootstrap_sums_interval(
        _ece, columns, clusters, paired=paired, draws=draws, level=level, seed=seed
    )
