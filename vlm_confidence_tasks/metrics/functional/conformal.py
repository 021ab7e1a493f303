"""Conformal sets: labels of which the right one is among them as often as was promised."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints, same_length, vector
from vlm_confidence_tasks.metrics.functional.recalibration import distributions
from vlm_confidence_tasks.metrics.functional.selective import ranked

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
    scores: ArrayLike, clusters: ArrayLike, coverage: float = COVERAGE, kept: ArrayLike = True
) -> Floats | None:
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
        kept: Which questions count, [..., n]: selections, of an image all questions or none.

    Returns:
        The threshold of each selection, [...]; None if one has too few images: under 9 at 90%.

    Raises:
        ValueError: No scores, one that is not finite, columns of different lengths, or a
            coverage outside (0, 1).

    Source: Angelopoulos and Bates 2021 (arXiv 2107.07511), equation 1; pooling over groups:
    Dunn, Wasserman and Ramdas 2022.

    >>> float(conformal_threshold([0.1, 0.2, 0.3, 0.4], list("abcd"), coverage=0.6))
    0.3
    >>> conformal_threshold([0.1, 0.2, 0.3, 0.4], list("aaaa"), coverage=0.6) is None
    True
    """
    column, labels = vector("scores", scores), np.asarray(clusters)
    same_length(scores=column, clusters=labels)
    if not 0.0 < coverage < 1.0:
        raise ValueError(f"coverage must be in (0, 1), got {coverage}")
    selections = np.broadcast_to(kept, (*np.shape(kept)[:-1], column.size))
    first_of_image = np.unique(labels, return_index=True)[1]
    images = np.count_nonzero(selections.take(first_of_image, axis=-1), axis=-1)
    if (_rank(images, coverage) > images).any():
        return None
    sizes = np.count_nonzero(selections, axis=-1)
    return ranked(column, _rank(sizes, coverage), selections)


def _rank(size: Ints, coverage: float) -> Floats:
    # Less what rounding adds: (9 + 1) 0.9 is 9.
    rank: Floats = np.ceil((size + 1) * coverage - 1e-9)
    return rank
