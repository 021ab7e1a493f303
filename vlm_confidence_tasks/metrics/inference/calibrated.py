"""What a perfectly calibrated model would show: the floor of an ECE, and a test of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics.functional.calibration import (
    N_BINS,
    expected_calibration_error,
    uniform_bins,
)
from vlm_confidence_tasks.metrics.functional.checks import (
    Bools,
    Floats,
    Ints,
    answered,
    positive_integer,
    same_length,
)
from vlm_confidence_tasks.metrics.inference.clusters import effective_clusters, numbered

DRAWS = 200
# Draws for p, which put outcomes of groups of images together anew.
P_DRAWS = 10_000

# Numbers drawn at once: bounds memory, not the result.
_BLOCK = 1 << 20
_GROUPS = 16


@dataclass(frozen=True)
class CalibrationTest:
    """An ECE held against those of a perfectly calibrated model with the same confidences.

    Attributes:
        floor: Mean ECE of the calibrated model: what an ECE is by the number of answers alone.
        p: (1 + draws whose ECE is at least the observed one) / (1 + draws), of 10,000 draws.
    """

    floor: float
    p: float


def calibration_test(
    confidence: ArrayLike,
    correct: ArrayLike,
    documents: ArrayLike,
    clusters: ArrayLike,
    *,
    n_bins: int = N_BINS,
    draws: int = DRAWS,
    p_draws: int = P_DRAWS,
    seed: int = 0,
) -> CalibrationTest:
    """Compare an equal-width ECE with that of perfectly calibrated answers.

    In each draw an answer is right where a uniform number is below its confidence. Answers
    to variants of one document go together, and so do, less, those to questions on one
    image; how far is estimated from the residuals correct - confidence, less their mean. A
    document takes its image's number with a probability, and an answer its document's, such
    that the draws go together as far; a document whose variants all go together is decided by
    one number.

    Images do not depend on each other: so for p each of 16 groups of them takes its outcome from
    one of the draws, chosen anew for each group, and the groups' bins are added up, 10,000 times.
    These errors have the tails of Student's t with (effective images - 1) degrees of
    freedom (`effective_clusters`).

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        correct: Whether each answer is right, [N].
        documents: The document of each answer, [N].
        clusters: The image of each answer, [N].
        n_bins: Number of bins.
        draws: Number of draws for the floor.
        p_draws: Number of draws for p.
        seed: Seed of the generator of this call; no global state is used.

    Raises:
        ValueError: Empty or unequal columns, NaN, a confidence outside [0, 1], or `n_bins`,
            `draws` or `p_draws` under 1.

    Source: consistency resampling, Broecker and Smith 2007; the dependence is ours.

    >>> calibration_test([0.0, 1.0, 1.0], [0, 1, 1], [0, 1, 2], ["a", "b", "c"])
    CalibrationTest(floor=0.0, p=1.0)
    """
    confidence, correct = answered(confidence, correct)
    document, n_documents = numbered(documents)
    image, n_images = numbered(clusters)
    same_length(confidence=confidence, documents=document, clusters=image)
    positive_integer("draws", draws)
    positive_integer("p_draws", p_draws)
    bins = uniform_bins(confidence, positive_integer("n_bins", n_bins))
    observed = expected_calibration_error(confidence, correct, n_bins)
    order = np.argsort(bins, kind="stable")
    confidence, document, image = confidence[order], document[order], image[order]
    _, bins = np.unique(bins[order], return_inverse=True)
    shared = _correlations(confidence, correct[order], document, image)
    rng = np.random.default_rng(seed)
    group = (np.random.default_rng(seed).permutation(n_images) % _GROUPS)[image]
    right = _drawn(confidence, document, image, shared, draws, rng)
    outcomes = _by_group(right, group, bins)
    claimed = np.bincount(bins, confidence)
    floor = _norm(outcomes.sum(axis=1) - claimed).mean() / confidence.size
    chosen = rng.integers(draws, size=(_GROUPS, p_draws))
    anew: Any = np.zeros((p_draws, claimed.size), dtype=np.float32)
    for of_group, rows in zip(outcomes.swapaxes(0, 1), chosen, strict=True):
        anew += np.ascontiguousarray(of_group).take(rows, axis=0)
    # How far answers go together is known from the images alone: as Student's t is wider.
    freedom = max(effective_clusters(np.bincount(image)) - 1.0, 1.0)
    drawn = _norm(anew - claimed) / confidence.size
    drawn *= np.sqrt(freedom / rng.chisquare(freedom, p_draws))
    # An ECE that is equal but for rounding reaches the observed one.
    reached = np.count_nonzero(drawn >= observed - 1e-12)
    return CalibrationTest(float(floor), float((1 + reached) / (1 + p_draws)))


def _drawn(
    confidence: Floats,
    document: Ints,
    image: Ints,
    correlations: tuple[float, float],
    draws: int,
    rng: np.random.Generator,
) -> Iterator[Bools]:
    """Yield which answers of a perfectly calibrated model are right in some draws, [B, N]."""
    within, between = correlations
    documents, images = int(document.max()) + 1, int(image.max()) + 1
    image_of = np.zeros(documents, dtype=np.intp)
    image_of[document] = image
    shared = np.sqrt(within), np.sqrt(min(1.0, between / within) if within else 0.0)
    block = max(1, _BLOCK // confidence.size)
    for done in range(0, draws, block):
        size = min(block, draws - done)
        numbers = rng.random((size, documents))
        if shared[1]:
            joint = rng.random((size, documents)) < shared[1]
            np.copyto(numbers, rng.random((size, images)).take(image_of, axis=1), where=joint)
        numbers = numbers.take(document, axis=1)
        if shared[0] < 1.0:
            own = rng.random(numbers.shape) >= shared[0]
            np.copyto(numbers, rng.random(numbers.shape), where=own)
        yield numbers < confidence


def _by_group(right: Iterable[Bools], group: Ints, bins: Ints) -> Floats:
    """Count the right answers of each group of images in each bin, [draws, groups, bins]."""
    n_bins = int(bins.max()) + 1
    cell = group * n_bins + bins
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    counts = [np.add.reduceat(b.take(order, axis=1), starts, axis=1, dtype=np.int64) for b in right]
    filled = np.concatenate(counts)
    # Whole numbers, which float32 holds.
    table: Any = np.zeros((len(filled), _GROUPS * n_bins), dtype=np.float32)
    table[:, cell[order][starts]] = filled
    tables: Floats = table.reshape(len(filled), _GROUPS, n_bins)
    return tables


def _norm(gaps: Floats) -> Floats:
    norm: Floats = np.abs(gaps) @ np.ones(gaps.shape[1])
    return norm


def _correlations(
    confidence: Floats, correct: Bools, documents: Ints, images: Ints
) -> tuple[float, float]:
    """Estimate how far answers of a document, and documents of an image, share their number.

    The covariance of residuals, summed over pairs of answers, in units of that which answers
    have that are decided by one number: min(p, q) - p q, of confidences p and q. 1 for
    documents of one answer each, 0 where no image has two documents.
    """
    residual = correct - confidence
    # Less the mean alone: the means of bins would take what few documents have in common along.
    residual = residual - residual.mean()
    (document, document_limit), (image, image_limit) = (
        _pairs(residual, confidence, index) for index in (documents, images)
    )
    within = np.clip(document / document_limit, 0.0, 1.0) if document_limit > 1e-9 else 1.0
    apart = image_limit - document_limit
    between = np.clip((image - document) / apart, 0.0, within) if apart > 1e-9 else 0.0
    return float(within), float(between)


def _pairs(residual: Floats, confidence: Floats, index: Ints) -> tuple[float, float]:
    """Sum the products of residuals over pairs in a group, and what they are at most."""
    products = float((np.bincount(index, residual) ** 2).sum() - (residual**2).sum())
    order = np.lexsort((confidence, index))
    ordered, group = confidence[order], index[order]
    sizes = np.bincount(index)
    greater = np.cumsum(sizes)[group] - np.arange(1, group.size + 1)
    smaller = 2.0 * float(ordered @ greater)
    expected = float((np.bincount(index, confidence) ** 2).sum() - (confidence**2).sum())
    return products, smaller - expected
