"""Correlation of two numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from vlm_confidence_tasks.metrics.functional.checks import same_length, vector


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
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))


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
