"""Correlation of two numbers, with its interval."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from vlm_confidence_tasks.metrics.functional.bootstrap import (
    DRAWS,
    Interval,
    bootstrap_sums_interval,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats, same_length, vector


def pearson(x: ArrayLike, y: ArrayLike) -> float | None:
    """Pearson's correlation: cov(x, y) / (sd(x) sd(y)).

    Args:
        x: One number an instance, [N].
        y: The other, [N]; 0 and 1 make it the point-biserial correlation.

    Returns:
        A number in [-1, 1]; None if one of the columns is constant, as it is for N = 1.

    Raises:
        ValueError: Empty or unequal columns, or a number that is not finite.

    Source: Pearson 1895.

    >>> pearson([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]), pearson([1.0, 2.0], [1.0, 1.0])
    (1.0, None)
    """
    x, y = vector("x", x), vector("y", y)
    same_length(x=x, y=y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return _from_sums(_products(x, y).sum(axis=0))


def spearman(x: ArrayLike, y: ArrayLike) -> float | None:
    """Spearman's rank correlation: Pearson's of the mid-ranks.

    Args:
        x: One number an instance, [N].
        y: The other, [N].

    Returns:
        A number in [-1, 1]; None if one of the columns is constant, as it is for N = 1.

    Raises:
        ValueError: Empty or unequal columns, or a number that is not finite.

    Source: Spearman 1904.

    >>> spearman([0.1, 0.5, 0.9], [1.0, 2.0, 30.0]), spearman([0.1, 0.5], [1.0, 1.0])
    (1.0, None)
    """
    x, y = vector("x", x), vector("y", y)
    same_length(x=x, y=y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.clip(spearmanr(x, y).statistic, -1, 1))


def bootstrap_pearson_interval(
    x: ArrayLike, y: ArrayLike, clusters: ArrayLike, *, draws: int = DRAWS
) -> Interval | None:
    """95% interval of `pearson`, from a bootstrap over clusters.

    Args:
        x: One number an instance, [N].
        y: The other, [N].
        clusters: The cluster (the image) of each, [N].
        draws: Of the bootstrap.

    Returns:
        None where the correlation is undefined.

    Raises:
        ValueError: As `pearson`.
    """
    x, y = vector("x", x), vector("y", y)
    same_length(x=x, y=y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return bootstrap_sums_interval(_from_sums, _products(x, y), clusters, draws=draws)


def _products(x: Floats, y: Floats) -> Floats:
    """Return what a correlation is a function of the sums of, of standardised columns."""
    x, y = ((column - column.mean()) / column.std() for column in (x, y))
    return np.column_stack([np.ones_like(x), x, y, x * x, y * y, x * y])


def _from_sums(sums: Floats) -> float | None:
    n, x, y, xx, yy, xy = sums
    spread = (xx - x * x / n) * (yy - y * y / n)
    # Under this, a draw's column is constant but for rounding.
    if not spread > 1e-18 * n * n:
        return None
    return float(np.clip((xy - x * y / n) / math.sqrt(spread), -1.0, 1.0))
