"""How far confidence is from accuracy, in bins and without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import dct, idct
from scipy.optimize import brentq

from vlm_confidence_tasks.metrics.functional.checks import (
    Floats,
    Ints,
    answered,
    positive_integer,
)
from vlm_confidence_tasks.metrics.functional.recalibration import distributions, indices

Strategy = Literal["uniform", "quantile"]

N_BINS = 15

# The smallest normal float32.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)

# Cells of [0, 1] in which answers are smoothed.
_CELLS = 1024


@dataclass(frozen=True)
class ReliabilityCurve:
    """The bins of a reliability diagram that hold any answer, in rising order.

    Attributes:
        low: Lower edge of each bin, [B] (of quantile bins: the smallest confidence in it).
        high: Upper edge of each bin, [B] (of quantile bins: the largest confidence in it).
        count: Answers in each bin, [B].
        confidence: Mean confidence in each bin, [B].
        accuracy: Share of right answers in each bin, [B].
    """

    low: Floats
    high: Floats
    count: Ints
    confidence: Floats
    accuracy: Floats


def uniform_bins(confidence: Floats, n_bins: int) -> Ints:
    """Number the equal-width bin [0, 1/n], (1/n, 2/n], ... of each confidence."""
    inner = np.arange(1, n_bins) / n_bins
    return np.searchsorted(inner, confidence, side="left")


def quantile_bins(confidence: Floats, n_bins: int) -> Ints:
    """Number the equal-mass bin of each confidence; equal confidences share a bin.

    A run of ties goes where its middle rank falls: one value that most answers share
    must not be drawn into the bin of the few below it. Ranks are doubled so that
    the arithmetic is exact.
    """
    _, run, count = np.unique(confidence, return_inverse=True, return_counts=True)
    doubled_middle = 2 * np.cumsum(count) - count
    bins: Ints = (doubled_middle * n_bins // (2 * confidence.size))[run]
    return bins


def _bins(confidence: Floats, n_bins: int, strategy: Strategy) -> Ints:
    positive_integer("n_bins", n_bins)
    if strategy == "uniform":
        return uniform_bins(confidence, n_bins)
    if strategy == "quantile":
        return quantile_bins(confidence, n_bins)
    raise ValueError(f"strategy must be 'uniform' or 'quantile', got {strategy!r}")


def reliability_curve(
    confidence: ArrayLike, correct: ArrayLike, n_bins: int = N_BINS, strategy: Strategy = "uniform"
) -> ReliabilityCurve:
    """Compute the data of a reliability diagram; empty bins are left out.

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        correct: Whether each answer is right, [N].
        n_bins: Number of bins before the empty ones are dropped.
        strategy: "uniform" for [0, 1/n], (1/n, 2/n], ...; "quantile" for bins of equal count,
            in which equal confidences stay together.

    Raises:
        ValueError: Empty or unequal columns, NaN, a confidence outside [0, 1],
            `n_bins` under 1 or an unknown `strategy`.

    Source: Niculescu-Mizil and Caruana 2005; Guo et al. 2017, figure 1.

    >>> curve = reliability_curve([0.2, 0.9, 1.0], [0, 1, 0], n_bins=2)
    >>> curve.count.tolist(), curve.accuracy.tolist()
    ([1, 2], [0.0, 0.5])
    """
    confidence, correct = answered(confidence, correct)
    bins = _bins(confidence, n_bins, strategy)
    counts = np.bincount(bins)
    filled = np.flatnonzero(counts)
    count = counts[filled]
    low, high = filled / n_bins, (filled + 1) / n_bins
    if strategy == "quantile":
        ordered = np.sort(confidence)
        last = np.cumsum(count)
        low, high = ordered[last - count], ordered[last - 1]
    return ReliabilityCurve(
        low=low,
        high=high,
        count=count,
        confidence=np.bincount(bins, confidence)[filled] / count,
        accuracy=np.bincount(bins, correct)[filled] / count,
    )


def expected_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, n_bins: int = N_BINS, strategy: Strategy = "uniform"
) -> float:
    """Mean gap between confidence and accuracy over bins, weighted by count, in [0, 1].

    ECE = sum over bins b of n_b / N * abs(accuracy_b - mean confidence_b).

    Biased upwards on few answers: compare with `ece_floor`.
    Arguments and errors are those of `reliability_curve`.

    Source: Naeini et al. 2015; Guo et al. 2017, equation 3. Quantile bins: Nguyen and
    O'Connor 2015.

    >>> round(expected_calibration_error([0.8, 0.8, 0.9], [1, 0, 1]), 4)
    0.2333
    """
    curve = reliability_curve(confidence, correct, n_bins, strategy)
    gaps = np.abs(curve.accuracy - curve.confidence)
    return float(gaps @ curve.count / curve.count.sum())


def maximum_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, n_bins: int = N_BINS, strategy: Strategy = "uniform"
) -> float:
    """Largest gap between confidence and accuracy of any bin with answers, in [0, 1].

    Arguments and errors are those of `reliability_curve`.

    Source: Naeini et al. 2015; Guo et al. 2017, equation 5.

    >>> round(maximum_calibration_error([0.8, 0.8, 0.9], [1, 0, 1]), 4)
    0.3
    """
    curve = reliability_curve(confidence, correct, n_bins, strategy)
    return float(np.abs(curve.accuracy - curve.confidence).max())


def classwise_calibration_error(
    probs: ArrayLike, gold: ArrayLike, n_bins: int = N_BINS
) -> float | None:
    """Mean over labels of the ECE of the label's probability, for whether it is the right one.

    A label counts with the number of questions that have it. It sees what the ECE of the given
    answer pools away: answers that are too sure of one label and not sure enough of another.

    Args:
        probs: Probability of each label, [N, L]; NaN where a question has fewer labels.
        gold: Index of the right one, [N].
        n_bins: Number of equal-width bins.

    Raises:
        ValueError: See `distributions` and `indices`, or `n_bins` is under 1.

    Source: Kull et al. 2019 (arXiv 1910.12656), section 2.

    >>> round(classwise_calibration_error([[0.8, 0.2], [0.8, 0.2]], [0, 1]), 4)
    0.3
    """
    table = distributions(probs)
    right = indices("gold", gold, table)
    has = ~np.isnan(table)
    errors = [
        expected_calibration_error(table[rows, label], right[rows] == label, n_bins)
        * np.count_nonzero(rows)
        for label, rows in enumerate(has.T)
        if rows.any()
    ]
    return float(sum(errors) / np.count_nonzero(has))


def log_probability(probabilities: Floats) -> Floats:
    """Return ln p in nats, of probabilities in [0, 1]; NaN stays NaN.

    One under the smallest normal float32 (1.2e-38) counts as that number, so that an
    underflow is worth -87.3 nats and not minus infinity, which JSON cannot hold.

    >>> log_probability(np.array([0.5, 0.0])).round(4).tolist()
    [-0.6931, -87.3365]
    """
    logs: Floats = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))
    return logs


def smooth_calibration_error(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Calibration error without bins, smECE, in [0, 1].

    smECE_s = integral over t in [0, 1] of abs(mean of K_s(t, confidence) (correct - confidence)),
    with the Gaussian kernel K_s of width s, reflected at 0 and 1; smECE = s where
    smECE_s = s: the width grows with the error, so that noise is smoothed away. Answers are
    moved to the middle of the nearest of 1,024 cells of [0, 1].

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: Blasiok and Nakkiran 2023 (arXiv 2309.12236).

    >>> round(smooth_calibration_error([0.8, 0.8, 0.8, 0.8], [1, 0, 0, 0]), 3)
    0.55
    """
    confidence, correct = answered(confidence, correct)
    cells = np.minimum((confidence * _CELLS).astype(np.intp), _CELLS - 1)
    residual = np.bincount(cells, correct - confidence, _CELLS) / confidence.size
    spectrum = dct(residual, norm="ortho")
    frequency = np.pi * np.arange(_CELLS)

    def excess(width: float) -> float:
        # On cells' midpoints, the reflected kernel is diagonal in the cosine basis.
        smoothed = idct(spectrum * np.exp(-((width * frequency) ** 2) / 2.0), norm="ortho")
        return float(np.abs(smoothed).sum()) - width

    if excess(0.0) <= 0.0:
        return 0.0
    # Of certain and wrong answers alone it is 1, and rounding may find it above.
    return 1.0 if excess(1.0) >= 0.0 else float(brentq(excess, 0.0, 1.0, xtol=1e-6))
