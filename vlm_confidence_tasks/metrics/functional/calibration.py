"""How far confidence is from accuracy, in bins and without."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics.functional.checks import (
    Floats,
    Ints,
    answered,
    positive_integer,
    vector,
)

Strategy = Literal["uniform", "quantile"]

N_BINS = 15
FLOOR_DRAWS = 200

# The smallest normal float32.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)

# Numbers drawn at once for the noise floor: bounds its memory, not its result.
_BLOCK = 1 << 20


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

    Biased upwards on few answers: compare with `calibration_noise_floor`.
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


def log_probability(probability: float) -> float:
    """Return ln p in nats, of a probability in [0, 1].

    One under the smallest normal float32 (1.2e-38) counts as that number, so that an
    underflow is worth -87.3 nats and not minus infinity, which JSON cannot hold.

    >>> round(log_probability(0.5), 4), round(log_probability(0.0), 4)
    (-0.6931, -87.3365)
    """
    return math.log(max(probability, SMALLEST_PROBABILITY))


def calibration_noise_floor(
    confidence: ArrayLike,
    n_bins: int = N_BINS,
    strategy: Strategy = "uniform",
    draws: int = FLOOR_DRAWS,
    seed: int = 0,
) -> float:
    """Mean ECE of a perfectly calibrated predictor with these confidences, in [0, 1].

    Each answer is right with the probability that it claims, `draws` times over. What
    remains is the error that comes from the number of answers alone: an ECE at this
    floor is no evidence of miscalibration. Confidences are sorted before drawing, so
    the floor does not depend on their order.

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        n_bins: As in `reliability_curve`.
        strategy: As in `reliability_curve`.
        draws: Number of draws.
        seed: Seed of the generator of this call; no global state is used.

    Raises:
        ValueError: No confidences, NaN, one outside [0, 1], `n_bins` or `draws` under 1
            or an unknown `strategy`.

    Source: consistency resampling, Broecker and Smith 2007.

    >>> calibration_noise_floor([0.0, 1.0, 1.0])
    0.0
    """
    ordered = np.sort(vector("confidence", confidence, 0.0, 1.0))
    positive_integer("draws", draws)
    _, starts = np.unique(_bins(ordered, n_bins, strategy), return_index=True)
    claimed = np.add.reduceat(ordered, starts)
    rng = np.random.default_rng(seed)
    total = 0.0
    block = max(1, _BLOCK // ordered.size)
    for done in range(0, draws, block):
        right = rng.random((min(block, draws - done), ordered.size)) < ordered
        drawn = np.add.reduceat(right, starts, axis=1, dtype=np.int64)
        total += float(np.abs(drawn - claimed).sum())
    return total / (draws * ordered.size)
