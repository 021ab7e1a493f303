"""How the answers to one document spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics.functional.checks import Floats


def visual_entropy(counts: ArrayLike) -> Floats:
    """Entropy of the answers to each document, in nats, [N].

    -sum over distinct answers a of n_a/n ln(n_a/n): 0 if all agree.

    Args:
        counts: How often each answer was given, to the clean image or to a variant, [N, A]. One
            that could not be read is an answer of its own.

    Raises:
        ValueError: A document has no answers.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652).

    >>> visual_entropy([[2, 1, 1], [3, 0, 0]]).round(4).tolist()
    [1.0397, 0.0]
    """
    table = np.asarray(counts, dtype=np.float64)
    total = table.sum(axis=1, keepdims=True)
    if not total.all():
        raise ValueError(f"counts must hold at least one answer of each document, got {counts!r}")
    share = table / total
    # The form ln n - sum(n_a ln n_a)/n would leave rounding noise where all agree.
    terms = share * -np.log(np.where(share > 0, share, 1.0))
    # Added up in one order, so that rounding is the same.
    entropies: Floats = np.sort(terms, axis=1).sum(axis=1)
    return entropies
