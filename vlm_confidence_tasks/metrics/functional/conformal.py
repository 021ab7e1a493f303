"""Conformal sets: labels of which the right one is among them as often as was promised."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics.functional.checks import Floats, same_length, vector
from vlm_confidence_tasks.metrics.functional.recalibration import distributions

COVERAGE = 0.9


def lac_scores(probs: ArrayLike) -> Floats:
    """Return 1 - p of each label, [N, L]: small scores are in the set.

    Args:
        probs: Probability of each label, [N, L]; NaN where a question has fewer labels.

    Source: Sadinle, Lei and Wasserman 2019; Angelopoulos and Bates 2021 (arXiv 2107.07511), 1.

    >>> lac_scores([[0.75, 0.25]]).tolist()
    [[0.25, 0.75]]
    """
    return 1.0 - distributions(probs)


def aps_scores(probs: ArrayLike, uniform: ArrayLike) -> Floats:
    """Return the probability of all likelier labels, and u times the label's own, [N, L].

    Of equal labels the first counts as likelier.

    Args:
        probs: Probability of each label, [N, L]; NaN where a question has fewer labels.
        uniform: One number in [0, 1] a row, [N]: drawn, or the same for all of a document.

    Raises:
        ValueError: See `distributions`; or `uniform` is not [N] of numbers in [0, 1].

    Source: Romano, Sesia and Candes 2020; Angelopoulos and Bates 2021 (arXiv 2107.07511), 2.1.

    >>> aps_scores([[0.25, 0.75]], [0.5]).tolist()
    [[0.875, 0.375]]
    """
    table, share = distributions(probs), vector("uniform", uniform, 0.0, 1.0)
    same_length(uniform=share, probs=table)
    order = np.argsort(-table, axis=1, kind="stable")
    falling = np.take_along_axis(table, order, axis=1)
    ranked = np.cumsum(falling, axis=1) - (1.0 - share[:, None]) * falling
    scores = np.empty_like(table)
    np.put_along_axis(scores, order, ranked, axis=1)
    return scores


def conformal_threshold(
    scores: ArrayLike, clusters: ArrayLike, coverage: float = COVERAGE
) -> float | None:
    """Return the score up to which labels are in the set.

    The k-th smallest of n scores of right labels, k = ceil((n + 1) coverage): questions are
    pooled. For one question an image that is exact; where images are exchangeable and their
    questions are not, it holds as images grow in number (measured in
    docs/studies/coverage.md). It needs as many images as a promise by image does,
    ceil((images + 1) coverage) <= images: with fewer, and questions of an image that go
    together, only a set of all labels keeps it.

    Args:
        scores: Score of the right label of each question, [n].
        clusters: The image of each question, [n].
        coverage: The share that is promised, in (0, 1).

    Returns:
        None of too few images: under 9 at 90%.

    Raises:
        ValueError: No scores, one that is not finite, columns of different lengths, or a
            coverage outside (0, 1).

    Source: Angelopoulos and Bates 2021 (arXiv 2107.07511), equation 1; pooling over groups:
    Dunn, Wasserman and Ramdas 2022.

    >>> conformal_threshold([0.1, 0.2, 0.3, 0.4], list("abcd"), coverage=0.6)
    0.3
    >>> conformal_threshold([0.1, 0.2, 0.3, 0.4], list("aaaa"), coverage=0.6) is None
    True
    """
    column, images = vector("scores", scores), len(set(np.asarray(clusters).tolist()))
    same_length(scores=column, clusters=np.asarray(clusters))
    if not 0.0 < coverage < 1.0:
        raise ValueError(f"coverage must be in (0, 1), got {coverage}")
    if _rank(images, coverage) > images:
        return None
    rank = _rank(column.size, coverage)
    return float(np.partition(column, rank - 1)[rank - 1])


def _rank(size: int, coverage: float) -> int:
    # Less what rounding adds: (9 + 1) 0.9 is 9.
    return math.ceil((size + 1) * coverage - 1e-9)
