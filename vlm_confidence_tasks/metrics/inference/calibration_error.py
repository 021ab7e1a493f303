"""Calibration errors without the bias of their absolute values, and intervals that hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import block_diag
from scipy.special import ndtr

from vlm_confidence_tasks.metrics.functional.calibration import (
    N_BINS,
    quantile_bins,
    smooth_calibration_error,
    uniform_bins,
)
from vlm_confidence_tasks.metrics.functional.checks import (
    Bools,
    Floats,
    Ints,
    answered,
    same_length,
)
from vlm_confidence_tasks.metrics.functional.correlation import pearson
from vlm_confidence_tasks.metrics.inference.clusters import (
    LEVEL,
    Interval,
    difference,
    draws_for,
    numbered,
    sides,
    too_few,
)
from vlm_confidence_tasks.metrics.inference.rare_errors import overconfidence_interval

Kind = Literal["uniform", "quantile", "smooth"]

DRAWS = 1000
# The test is inverted at 1 - 0.7 (1 - level), since the shape of the miscalibration is
# estimated: with it the measured coverage at 95% is 95%.
_INVERTED = 0.7
# How many images' worth of the binomial variance enters the variance of a bin, in which few
# images give a poor one of their own.
_BINOMIAL_IMAGES = 2.0
# Points at which the smoothed residual is evaluated, and the cells of [0, 1] that it is made of.
_POINTS = 64
_CELLS = 256
_SMALLEST = 1e-12


@dataclass(frozen=True)
class _Gaps:
    """The gaps of a reliability diagram, and how far each may be off.

    Attributes:
        bins: The bin of each answer, [N], of those that are filled.
        gap: Sum of correct - confidence in each bin over N, [B].
        error: Its standard error over images, [B].
        missing: The part of it that is not seen in the images, which are few, [B].
        shape: The gap of each answer's bin, shrunk towards the mean of all bins as far as the
            errors explain how the bins differ, [N].
    """

    bins: Ints
    gap: Floats
    error: Floats
    missing: Floats
    shape: Floats


def debiased_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, clusters: ArrayLike
) -> float | None:
    """Equal-width ECE less its bias, at least 0.

    A bin's gap d with the standard error s adds E|N(d, s^2)| - |d| to the ECE on average:
    2 ECE - sum over bins of E|N(d_b, s_b^2)|. The errors are over images, so that answers on
    one image may depend on each other. Unbiased where gaps are large; of a perfectly
    calibrated model it is over 0 still, at about half of `ece_floor`.

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        correct: Whether each answer is right, [N].
        clusters: The image of each answer, [N].

    Returns:
        None of a single image, which has no standard error.

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: Kumar, Liang and Ma 2019 (arXiv 1909.10155), section 5, with the normal
    approximation for absolute values; the errors over images are ours.

    >>> debiased_calibration_error([0.9] * 4, [1, 1, 0, 0], list("abcd")) < 0.4
    True
    """
    confidence, correct = answered(confidence, correct)
    index, size = numbered(clusters)
    same_length(confidence=confidence, clusters=index)
    if size < 2:
        return None
    gaps = _gaps(confidence, correct, index, size)
    ratio = gaps.gap / np.maximum(gaps.error, _SMALLEST)
    density = np.exp(-(ratio**2) / 2.0) * np.sqrt(2.0 / np.pi)
    expected = gaps.error * density + gaps.gap * (1.0 - 2.0 * ndtr(-ratio))
    return max(0.0, float(2.0 * np.abs(gaps.gap).sum() - expected.sum()))


def calibration_error_interval(
    confidence: ArrayLike,
    correct: ArrayLike,
    clusters: ArrayLike,
    estimate: float | None = None,
    *,
    kind: Kind = "uniform",
    paired: ArrayLike | None = None,
    level: float = LEVEL,
    overconfidence: Interval | None = None,
    seed: int = 0,
) -> Interval | None:
    """Interval of a calibration error, whose estimate is biased upwards.

    A calibration error is T = sum |D_j|, with D_j the mean of (correct - confidence) times
    a feature: bins, or the smoothing kernel. T of noisy D is larger than that of the true one,
    so that a percentile interval never holds 0. Here the test of "the true error is t" is
    inverted: along D(s) = s D~, with D~ the estimated gaps shrunk by their errors, T(s) is
    drawn with the noise of D over images; t = sum |D(s)| is in the interval where the observed
    T is between the quantiles of T(s). The low end is 0 for a model that may be calibrated.
    The high end is at least the largest overconfidence, in size, of `overconfidence_interval`,
    since the error is no smaller: of few wrong answers the residuals say too little. The interval
    is widened to hold the estimate.

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        correct: Whether each answer is right, [N].
        clusters: The image of each answer, [N].
        estimate: The calibration error that is shown; None: that of the shrunk gaps.
        kind: "uniform" and "quantile" for bins, "smooth" for the kernel.
        paired: Whether each answer is of the second condition, [N]. If given, `estimate` is a
            difference, and so is the interval: of both errors' intervals, by MOVER, around the
            errors of the shrunk gaps, since the difference of biased estimates is biased too.
        level: Of the interval, in (0, 1).
        overconfidence: The `overconfidence_interval` of these answers, of a single condition, if
            it is known.
        seed: Seed of the generator of this call; no global state is used.

    Returns:
        None of under 5 images on a side, or one with over half of the answers.

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: ours; that the error's distribution changes its form near 0: Sun and others 2024
    (arXiv 2408.08998).
    """
    confidence, correct = answered(confidence, correct)
    index, size = numbered(clusters)
    same_length(confidence=confidence, clusters=index)
    # In one order, so that rounding is the same.
    order = np.lexsort((correct, confidence, index))
    conditions = [side[order] for side in sides(paired, len(index))]
    confidence, correct, index = confidence[order], correct[order], index[order]
    if any(too_few(np.bincount(index[side])) for side in conditions):
        return None
    errors = [
        _error(confidence[side], correct[side], index[side], size, kind) for side in conditions
    ]
    gaps = [
        overconfidence
        or overconfidence_interval(
            confidence[side],
            correct[side],
            np.ones(index[side].size),
            index[side],
            level=level,
        )
        for side in conditions
    ]
    noise = _noise(
        np.hstack([error.influence for error in errors]),
        block_diag(*(error.binomial for error in errors)),
        draws_for(level, DRAWS),
        np.random.default_rng(seed),
    )
    noises = np.split(noise, np.cumsum([error.gaps.size for error in errors[:-1]]), axis=1)
    found = [
        _raised(_inverted(error, noise, level), overconfidence)
        for error, noise, overconfidence in zip(errors, noises, gaps, strict=True)
    ]
    shown = found[0]
    if len(found) == 2:
        together = _correlation(*(_norm(e.path + n) for e, n in zip(errors, noises, strict=True)))
        # The centre of an error that may be 0 is biased; both ways hold more truths than one.
        centred = difference(found[0], found[1], together)
        both = all(each.low == 0 for each in found)
        first, second = (_from_zero(each, both) for each in found)
        at_zero = difference(first, second, together)
        low, high = min(centred.low, at_zero.low), max(centred.high, at_zero.high)
        shown = Interval(centred.estimate, low, high)
    low, high = (float(np.clip(end, -1.0, 1.0)) for end in (shown.low, shown.high))
    clipped = Interval(shown.estimate, low, high)
    return clipped if estimate is None else clipped.holding(estimate)


@dataclass(frozen=True)
class _Error:
    """A calibration error as a sum of absolute values.

    Attributes:
        gaps: D, [J].
        path: D~, [J].
        influence: How much each image adds to the noise of D, [K, J].
        binomial: How much each bin adds whose images agree by chance, [B, J].
    """

    gaps: Floats
    path: Floats
    influence: Floats
    binomial: Floats


def _error(confidence: Floats, correct: Bools, index: Ints, size: int, kind: Kind) -> _Error:
    gaps = _gaps(confidence, correct, index, size)
    cells, features = _features(confidence, correct, kind)
    total, residual = confidence.size, correct - confidence
    counts = np.bincount(index, minlength=size)
    added = _crossed(index, size, cells, len(features), residual) @ features
    centred = added - counts[:, None] * (added.sum(axis=0) / total)
    bins = _crossed(gaps.bins, gaps.gap.size, cells, len(features), np.ones(total))
    return _Error(
        gaps=np.bincount(cells, residual, len(features)) @ features / total,
        path=np.bincount(cells, gaps.shape, len(features)) @ features / total,
        # The jackknife's weights: an image with many answers moves its own mean.
        influence=centred / np.maximum(total - counts, 1)[:, None],
        binomial=gaps.missing[:, None] * (bins / bins.sum(axis=1, keepdims=True)) @ features,
    )


def _features(confidence: Floats, correct: Bools, kind: Kind) -> tuple[Ints, Floats]:
    """Return the cell of each answer, [N], and the features of each cell, [C, J]."""
    if kind == "smooth":
        width = max(smooth_calibration_error(confidence, correct), 1 / _POINTS)
        cells = np.minimum((confidence * _CELLS).astype(np.intp), _CELLS - 1)
        return cells, _kernel((np.arange(_CELLS) + 0.5) / _CELLS, width)
    assign = quantile_bins if kind == "quantile" else uniform_bins
    _, bins = np.unique(assign(confidence, N_BINS), return_inverse=True)
    return bins, np.eye(bins.max() + 1)


def _kernel(middle: Floats, width: float) -> Floats:
    """Return the Gaussian kernel, reflected at 0 and 1, at the midpoints of a grid, [C, J]."""
    points = (np.arange(_POINTS) + 0.5) / _POINTS
    kernel = np.zeros((middle.size, _POINTS))
    for period in (-2.0, 0.0, 2.0):
        for mirrored in (points + period, -points + period):
            kernel += np.exp(-(((middle[:, None] - mirrored) / width) ** 2) / 2.0)
    weights: Floats = kernel / kernel.sum(axis=1, keepdims=True)
    return weights


def _crossed(rows: Ints, n_rows: int, columns: Ints, n_columns: int, values: Floats) -> Floats:
    """Sum the values of each row and column of a table, [R, C]."""
    cells = np.bincount(rows * n_columns + columns, values, n_rows * n_columns)
    return cells.reshape(n_rows, n_columns).astype(np.float64)


def _gaps(confidence: Floats, correct: Bools, index: Ints, size: int) -> _Gaps:
    _, bins = np.unique(uniform_bins(confidence, N_BINS), return_inverse=True)
    n_bins, total = int(bins.max()) + 1, confidence.size
    residual = correct - confidence
    cells = _crossed(index, size, bins, n_bins, residual)
    held = _crossed(index, size, bins, n_bins, np.ones(total)) > 0
    counts = np.bincount(index, minlength=size)
    gap = cells.sum(axis=0) / total
    share = np.bincount(bins, minlength=n_bins) / total
    influence = (cells - counts[:, None] * gap) / np.maximum(total - counts, 1)[:, None]
    images = np.count_nonzero(counts)
    variance = (influence**2).sum(axis=0) * (images - 1) / images
    # Binomial, at the confidences less the mean gap, times the design effect of all bins.
    right = np.clip(confidence + residual.mean(), 0.02, 0.98)
    binomial = np.bincount(bins, right * (1.0 - right), n_bins) / total**2
    binomial *= max(1.0, variance.sum() / binomial.sum())
    weight = held.sum(axis=0)
    blended = (weight * variance + _BINOMIAL_IMAGES * binomial) / (weight + _BINOMIAL_IMAGES)
    variance, missing = np.maximum(variance, blended), np.maximum(blended - variance, 0.0)
    return _Gaps(
        bins=bins,
        gap=gap,
        error=np.sqrt(variance),
        missing=np.sqrt(missing),
        shape=_shrunk(gap / share, variance / share**2)[bins],
    )


def _shrunk(gap: Floats, variance: Floats) -> Floats:
    """Shrink gaps towards their mean by a random-effects model (DerSimonian and Laird 1986)."""
    precision = 1.0 / variance
    total = precision.sum()
    centre = precision @ gap / total
    freedom = total - precision @ precision / total
    excess = precision @ (gap - centre) ** 2 - (gap.size - 1)
    spread = max(0.0, excess / freedom) if gap.size > 1 else 0.0
    weight = 1.0 / (variance + spread)
    centre = weight @ gap / weight.sum()
    shrunk: Floats = centre + spread / (spread + variance) * (gap - centre)
    return shrunk


def _noise(influence: Floats, binomial: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Draw noise with the covariance of images and bins, and the tails of Student's t, [B, J]."""
    images = int(influence.any(axis=1).sum())
    covariance = influence.T @ influence * (images - 1) / max(images, 1) + binomial.T @ binomial
    values, vectors = np.linalg.eigh(covariance)
    drawn = rng.standard_normal((draws, len(values))) @ (vectors * np.sqrt(values.clip(0))).T
    freedom = max(images - 1, 1)
    noise: Floats = drawn * np.sqrt(freedom / rng.chisquare(freedom, draws))[:, None]
    return noise


def _norm(gaps: Floats) -> Floats:
    norm: Floats = np.abs(gaps).sum(axis=-1)
    return norm


def _correlation(one: Floats, other: Floats) -> float:
    """Correlate two columns; 0 where one is constant."""
    return pearson(one, other) or 0.0


def _from_zero(found: Interval, both: bool) -> Interval:
    """Return the interval, around 0 where that may be the error.

    Where it may be in both conditions, it has two sides: then what they share cancels.
    """
    if found.low > 0:
        return found
    return Interval(0.0, -found.high if both else 0.0, found.high)


def _inverted(error: _Error, noise: Floats, level: float) -> Interval:
    """Return the error of the shrunk gaps, and which errors the observed one may be of."""
    observed = float(_norm(error.gaps))
    # Without a gap, in the directions in which there may be one.
    path = error.path if _norm(error.path) > _SMALLEST else noise.std(axis=0)
    tail = _INVERTED * (1.0 - level) / 2.0
    # [J, B], so that sums over the gaps run along memory.
    column, drawn = path[:, None], np.ascontiguousarray(noise.T)

    def quantile(at: float) -> Callable[[float], float]:
        return lambda s: _quantile(np.abs(s * column + drawn).sum(axis=0), at)

    scale = float(_norm(path))
    low = scale * _root(quantile(1.0 - tail), observed)
    # An error under what a calibrated model shows by chance is no better than that model's.
    high = scale * _root(quantile(tail), max(observed, quantile(0.5)(0.0)))
    low, high = min(low, 1.0), min(high, 1.0)
    return Interval(float(np.clip(scale, low, high)), low, high)


def _quantile(numbers: Floats, at: float) -> float:
    """Return a quantile of one column, at under 1: numpy's "linear", in a tenth of its time."""
    below, share = divmod(at * (numbers.size - 1), 1.0)
    low, high = np.partition(numbers, (int(below), int(below) + 1))[int(below) : int(below) + 2]
    return float(low + share * (high - low))


def _raised(found: Interval, overconfidence: Interval | None) -> Interval:
    """Return the interval, up to what overconfidence may be: no calibration error is smaller.

    Where errors are rare, the sample's own residuals do not tell how many there may be.
    """
    if overconfidence is None:
        return found
    largest = max(-overconfidence.low, overconfidence.high)
    return Interval(found.estimate, found.low, max(found.high, largest))


def _root(rising: Callable[[float], float], value: float) -> float:
    """Return where a rising function reaches a value, 0 if it is above it there."""
    if rising(0.0) >= value:
        return 0.0
    low, high = 0.0, 1.0
    while rising(high) < value:
        low, high = high, 2.0 * high
    for _ in range(12):
        middle = (low + high) / 2.0
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return high
