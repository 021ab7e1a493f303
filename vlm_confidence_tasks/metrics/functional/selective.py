"""Answering only where the model is sure enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints, vector

COVERAGE = 0.8


def acceptance_threshold(
    confidence: ArrayLike, coverage: float = COVERAGE, kept: ArrayLike = True
) -> Floats:
    """Return the greatest confidence above or at which a share of the answers lie.

    The ceil(n coverage)-th greatest of n: at least that share is accepted, more where
    confidences are equal.

    Args:
        confidence: Of each answer, [n], in [0, 1].
        coverage: The share, in (0, 1].
        kept: Which answers count, [..., n]: selections of at least one answer.

    Returns:
        The threshold of each selection, [...].

    Raises:
        ValueError: No confidences, one outside [0, 1], or a coverage outside (0, 1].

    Source: El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017.

    >>> float(acceptance_threshold([0.9, 0.8, 0.7, 0.6], 0.5))
    0.8
    """
    column = vector("confidence", confidence, 0.0, 1.0)
    if not 0.0 < coverage <= 1.0:
        raise ValueError(f"coverage must be in (0, 1], got {coverage}")
    selections = np.broadcast_to(kept, (*np.shape(kept)[:-1], column.size))
    sizes = np.count_nonzero(selections, axis=-1)
    return -ranked(-column, np.ceil(sizes * coverage - 1e-9), selections)


def ranked(numbers: Floats, rank: Ints | Floats, kept: Bools) -> Floats:
    """Return the smallest, second smallest, ... (`rank`, [...]) of selections `kept`, [..., n]."""
    order = np.argsort(numbers, kind="stable")
    so_far = np.cumsum(kept.take(order, axis=-1), axis=-1, dtype=np.int32)
    found: Floats = numbers[order][np.count_nonzero(so_far < rank[..., None], axis=-1)]
    return found
