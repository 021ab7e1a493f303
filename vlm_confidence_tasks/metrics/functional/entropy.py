"""How answers spread, and whether a perturbation moves the entropy of what is generated."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import wilcoxon

from vlm_confidence_tasks.metrics.functional.checks import vector


def visual_entropy(answers: Sequence[str | None]) -> float:
    """Entropy of the answers to one document, in nats.

    -sum over distinct answers a of n_a/n ln(n_a/n): 0 if all agree.

    Args:
        answers: The answers to the clean image and to its variants, [1 + V]; None for one that
            could not be read, which is an answer of its own.

    Raises:
        ValueError: There are no answers.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652).

    >>> round(visual_entropy(["Yes", "Yes", "No", None]), 4)
    1.0397
    """
    if not answers:
        raise ValueError(f"answers must not be empty, got {answers!r}")
    counts = sorted(Counter(answers).values())
    # The form ln n - sum(n_a ln n_a)/n would leave rounding noise where all agree.
    return math.fsum(n / len(answers) * math.log(len(answers) / n) for n in counts)


def wilcoxon_p(difference: ArrayLike) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test that differences centre on 0.

    Differences of 0 are dropped (Wilcoxon's own rule). The distribution is exact for up
    to 50 differences without ties, normal beyond: scipy's `method="auto"`.

    Args:
        difference: One number a document, [N]: give means, for the test takes its
            inputs to be independent.

    Returns:
        p in [0, 1], or None if there are no differences or all are 0.

    Raises:
        ValueError: A difference is not finite, or the shape is not [N].

    Source: Wilcoxon 1945; Pratt 1959 on zeros.

    >>> wilcoxon_p([1.0, 2.0, 3.0, 4.0])
    0.125
    >>> wilcoxon_p([0.0, 0.0]) is None
    True
    """
    if np.size(difference) == 0:
        return None
    differences = vector("difference", difference)
    moved = np.sort(differences[differences != 0])
    return float(wilcoxon(moved).pvalue) if moved.size else None
