"""A defence that rejects an image when the model is uncertain, and what it lets through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints, vector
from vlm_confidence_tasks.metrics.functional.ranking import auroc_of_ranks, dense_ranks


@dataclass(frozen=True)
class ThresholdDefense:
    """What "reject if H > threshold" does.

    Attributes:
        threshold: The entropy above which an image is rejected, in nats.
        reject_clean: Share of clean images rejected.
        reject: Share of perturbed images rejected.
        auroc: AUROC of entropy for perturbed against clean. Under 0.5 the defence is
            inverted: perturbed images look more certain than clean ones.
    """

    threshold: float
    reject_clean: float
    reject: float
    auroc: float

    @property
    def bypass(self) -> float:
        """Share of perturbed images that pass: 1 - reject."""
        return 1.0 - self.reject


def threshold_defense(
    clean: ArrayLike, perturbed: ArrayLike, percentile: float = 95.0
) -> ThresholdDefense:
    """Reject what is more uncertain than most clean images, and count.

    Args:
        clean: Entropies of the clean images, [N], in nats.
        perturbed: Entropies of the perturbed images, [M], in nats.
        percentile: The percentile of `clean` that is the threshold (numpy's "linear").

    Raises:
        ValueError: No entropies on a side, one that is not finite, or a percentile
            outside [0, 100].

    Source: "The Confidence Trap", section 4.4.

    >>> defense = threshold_defense([0.0, 1.0, 2.0], [0.5, 3.0])
    >>> round(defense.threshold, 6), defense.reject, defense.bypass
    (1.9, 0.5, 0.5)
    """
    clean, perturbed = vector("clean", clean), vector("perturbed", perturbed)
    if not 0.0 <= percentile <= 100.0:
        raise ValueError(f"percentile must be in [0, 100], got {percentile}")
    ranks = dense_ranks(np.concatenate([clean, perturbed]))
    return defense_of_ranks(clean, perturbed, ranks, percentile)


def defense_of_ranks(
    clean: Floats, perturbed: Floats, ranks: Ints, percentile: float = 95.0
) -> ThresholdDefense:
    """`threshold_defense` of entropies that are ranked already, clean ones first, [N + M].

    Not checked: it is called for many subsets of the same entropies.
    """
    threshold = float(np.percentile(clean, percentile, method="linear"))
    separation = auroc_of_ranks(ranks, np.arange(ranks.size) >= clean.size)
    assert separation is not None  # both sides are non-empty
    return ThresholdDefense(
        threshold=threshold,
        reject_clean=float((clean > threshold).mean()),
        reject=float((perturbed > threshold).mean()),
        auroc=separation,
    )
