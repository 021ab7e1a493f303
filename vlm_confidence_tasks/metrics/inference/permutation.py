"""Tests of differences, in which an image is one observation, and their adjustment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import wilcoxon

from vlm_confidence_tasks.metrics.functional.checks import Floats, same_length, vector
from vlm_confidence_tasks.metrics.inference.clusters import numbered

FLIPS = 10_000
EXACT_CLUSTERS = 16

# Eight images share a byte of random signs, and a table of the sums that it gives.
_BYTE = 8
# Sums that differ by less than this share are equal but for rounding.
_ROUNDING = 1e-12


def sign_flip_p(
    differences: ArrayLike,
    clusters: ArrayLike,
    *,
    flips: int = FLIPS,
    seed: int = 0,
) -> float | None:
    """Two-sided p of a sign-flip permutation test that images' differences are symmetric about 0.

    The differences of an image are added up, and the signs of these sums are flipped: all
    2^K ways up to 16 images, where p is the share with a sum as far from 0 as the observed
    one, else `flips` drawn ways, where p = (1 + number of these) / (1 + flips). Answers on one
    image may depend on each other in any way. It is no test of the mean: skewed differences of
    mean 0 are not symmetric, and are found out (`mean_p` tests the mean).

    Args:
        differences: Sum of each row's differences, [N]: the mean times its weight.
        clusters: The image of each row, [N].
        flips: How many ways are drawn.
        seed: Seed of the generator of this call; no global state is used.

    Returns:
        p in (0, 1], or None if there are no differences or all are 0.

    Raises:
        ValueError: A difference is not finite, or the columns differ in length.

    Source: Fisher 1935, section 21; Phipson and Smyth 2010 on drawn permutations.

    >>> sign_flip_p([1.0, 2.0, 3.0, 4.0], ["a", "b", "c", "d"])
    0.125
    >>> sign_flip_p([0.0, 0.0], ["a", "b"]) is None
    True
    """
    sums = _sums(differences, clusters)
    if sums is None:
        return None
    # Images that cancel out change no sum; in one order, so that rounding is the same.
    moved = np.sort(sums[np.abs(sums) > _ROUNDING * np.abs(sums).max()])
    least = abs(moved.sum()) - _ROUNDING * np.abs(moved).sum()
    if moved.size <= EXACT_CLUSTERS:
        return float((np.abs(_signed_sums(moved)) >= least).mean())
    rng = np.random.default_rng(seed)
    total = np.zeros(flips)
    for start in range(0, moved.size, _BYTE):
        signed = _signed_sums(moved[start : start + _BYTE])
        total += signed[rng.integers(signed.size, size=flips, dtype=np.uint16)]
    return float((1 + np.count_nonzero(np.abs(total) >= least)) / (1 + flips))


def _signed_sums(values: Floats) -> Floats:
    """Return the sums of the values under all choices of signs, [2^N]."""
    found = np.zeros(1)
    for value in values:
        found = np.concatenate([found + value, found - value])
    return found


def _sums(differences: ArrayLike, clusters: ArrayLike) -> Floats | None:
    """Return the sum of each cluster's differences, [K], 0 but for rounding; None if all are."""
    if np.size(differences) == 0:
        return None
    column = vector("differences", differences)
    index, size = numbered(clusters)
    same_length(differences=column, clusters=index)
    sums: Floats = np.bincount(index, column, size).astype(np.float64)
    # What is left of an image whose differences cancel is rounding, and no observation.
    sums[np.abs(sums) <= _ROUNDING * np.bincount(index, np.abs(column), size)] = 0.0
    return sums if sums.any() else None


def wilcoxon_p(
    differences: ArrayLike, clusters: ArrayLike, weights: ArrayLike | None = None
) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test on the mean differences of images.

    It tests that these are symmetric about 0, not that their mean is 0: it can be
    significant with the other sign than the mean's. Means of 0 are dropped (Wilcoxon's own
    rule). The distribution is exact for up to 50 means without ties among their absolute
    values, normal with the correction for ties otherwise.

    Args:
        differences: Sum of each row's differences, [N].
        clusters: The image of each row, [N].
        weights: How many differences each row stands for, [N]; one each if None.

    Returns:
        p in [0, 1], or None if there are no differences or all are 0.

    Raises:
        ValueError: A difference is not finite, the columns differ in length, or all weights of
            a cluster are 0.

    Source: Wilcoxon 1945; Pratt 1959 on zeros.

    >>> wilcoxon_p([1.0, 2.0, 3.0, 4.0], ["a", "b", "c", "d"])
    0.125
    """
    sums = _sums(differences, clusters)
    if sums is None:
        return None
    weight = np.ones(np.size(differences)) if weights is None else vector("weights", weights, 0.0)
    index, size = numbered(clusters)
    totals = np.bincount(index, weight, size)
    if not totals.all():
        raise ValueError("weights must not all be 0 in a cluster")
    means = sums / totals
    moved = np.sort(means[means != 0])
    ties = np.unique(np.abs(moved)).size < moved.size
    exact = moved.size <= 50 and not ties
    return float(wilcoxon(moved, method="exact" if exact else "asymptotic").pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values for their number, so that the chance of any false one is bounded.

    Of m sorted p-values, the i-th becomes the largest of (m - j + 1) p(j) for j <= i, at
    most 1.

    Args:
        p: The p-values, [M], in [0, 1].

    Raises:
        ValueError: One is not in [0, 1].

    Source: Holm 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    if len(p) == 0:
        return []
    values = vector("p", p, 0.0, 1.0)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]
