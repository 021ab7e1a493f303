"""Whether confidence goes with the evidence that noise on the named things leaves."""

from __future__ import annotations

from collections.abc import Iterator

from vlm_confidence_tasks.metrics.extractors import object_noise
from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.registry.kinds import (
    NEITHER,
    OBJECT_NOISE,
    RATE,
    VERBAL,
    alignment,
    mean,
)


def metrics() -> Iterator[Metric]:
    """Yield how confidence is correlated with the noise's own, and what has no mask."""
    text = "Spearman correlation of {} confidence with that of the noise on the named things"
    for name, extract, kind, requires in (
        ("objectnoise_alignment", object_noise.token, "token", OBJECT_NOISE),
        ("verbal_objectnoise_alignment", object_noise.stated, "stated", OBJECT_NOISE | VERBAL),
    ):
        line = text.format(kind)
        yield alignment(name, ("noise", "confidence"), extract, NEITHER, line, requires)
    yield mean(
        "mask_missing_rate",
        object_noise.missing,
        RATE,
        NEITHER,
        "share of documents without a mask, whose perturbed images are left out",
        lambda sample: (sample.clean,),
        OBJECT_NOISE,
    )
