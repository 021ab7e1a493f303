"""How a perturbation moves the entropy of what is generated."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import wilcoxon

from vlm_confidence_tasks.metrics._checks import vector


def entropy_drop_rate(difference: ArrayLike) -> float:
    """Share of instances whose entropy the perturbation lowered, in [0, 1].

    Args:
        difference: H(variant) - H(clean) of each instance, [N], in nats.

    Raises:
        ValueError: No differences, or one that is not finite.

    Source: "The Confidence Trap", section 4.

    >>> entropy_drop_rate([-0.5, 0.25, 0.0, 0.125])
    0.25
    """
    return float((vector("difference", difference) < 0).mean())


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
