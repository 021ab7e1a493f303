"""The smallest difference of a metric that matters, as docs/claims.md fixes it."""

from __future__ import annotations

from collections.abc import Mapping

from vlm_confidence_tasks.metrics import Answers, Mean, NamedMetric
from vlm_confidence_tasks.metrics.statistics.means import (
    SHARE,
    SHARES_APART,
    MeanOverFamilies,
    PerImage,
)
from vlm_confidence_tasks.metrics.statistics.ratios import CountRatio
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic
from vlm_confidence_tasks.report.claims import claims

# The clean entropy that is the scale of each entropy and of each change of one.
SCALE = {
    "entropy": "entropy_clean",
    "entropy_clean": "entropy_clean",
    "entropy_delta": "entropy_clean",
    "entropy_per_image": "entropy_per_image_clean",
    "entropy_per_image_clean": "entropy_per_image_clean",
    "entropy_delta_per_image": "entropy_per_image_clean",
    "entropy_answer": "entropy_answer_clean",
    "entropy_answer_clean": "entropy_answer_clean",
    "entropy_answer_delta": "entropy_answer_clean",
}


def smallest_effect(
    name: str,
    metrics: Mapping[str, NamedMetric],
    of: Answers,
    share: float = claims.SHARE,
) -> float | None:
    """Return the smallest difference of a metric that matters; None where none is fixed.

    0.01 of rates and other means of shares and probabilities, and 0.01 of the clean value of
    entropies.

    Args:
        name: The metric.
        metrics: All metrics, by name.
        of: The answers that have the clean value: those of the first run.
        share: Another one in the place of 0.01.
    """
    if is_share(metrics[name].statistic):
        return share
    scale = metrics.get(SCALE.get(name, ""))
    clean = None if scale is None else scale.value(of)
    return share * clean if clean else None


def is_share(statistic: Statistic) -> bool:
    """Whether a number is a rate, a mean of probabilities, or a difference of such."""
    mean = statistic.mean if isinstance(statistic, PerImage) else statistic
    if isinstance(mean, Mean):
        return mean.within in (SHARE, SHARES_APART)
    return isinstance(mean, (MeanOverFamilies, CountRatio))
