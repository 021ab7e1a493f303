"""Answering only where the model is sure enough."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics.functional.checks import vector

COVERAGE = 0.8


def acceptance_threshold(confidence: ArrayLike, coverage: float = COVERAGE) -> float:
    """Return the greatest confidence above or at which a share of the answers lie.

    The ceil(n coverage)-th greatest of n: at least that share is accepted, more where
    confidences are equal.

    Args:
        confidence: Of each answer, [n], in [0, 1].
        coverage: The share, in (0, 1].

    Raises:
        ValueError: No confidences, one outside [0, 1], or a coverage outside (0, 1].

    Source: El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017.

    >>> acceptance_threshold([0.9, 0.8, 0.7, 0.6], 0.5)
    0.8
    """
    column = vector("confidence", confidence, 0.0, 1.0)
    if not 0.0 < coverage <= 1.0:
        raise ValueError(f"coverage must be in (0, 1], got {coverage}")
    rank = column.size - math.ceil(column.size * coverage - 1e-9)
    return float(np.partition(column, rank)[rank])
