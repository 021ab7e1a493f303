"""Confidence of the answers to noise on the things that a question names.

Readouts of the perturbation `object_noise`, whose parameter `confidence` says how sure one can
still be: 1 on the clean image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vlm_confidence_tasks.metrics.sample import Sample, Value
from vlm_confidence_tasks.types import Readout

NAME = "object_noise"


def token(sample: Sample) -> Value | None:
    """Return the noise's confidence and that of the token, as two columns."""
    return _columns(sample, lambda readout: readout.confidence)


def stated(sample: Sample) -> Value | None:
    """Return the noise's confidence and the stated one, as two columns."""
    return _columns(sample, lambda readout: readout.verbal_confidence)


def missing(sample: Sample, readouts: Sequence[Readout]) -> list[float]:
    """Whether a document has no variants, since nothing that it names was found."""
    return [float(not sample.variants)]


def _columns(sample: Sample, measured: Callable[[Readout], float | None]) -> Value | None:
    noisy = [readout for readout in sample.perturbed if readout.variant.perturbation == NAME]
    if not noisy:
        return None
    levels = [1.0, *(float(dict(r.variant.parameters)["confidence"]) for r in noisy)]
    pairs = zip(levels, map(measured, (sample.clean, *noisy)), strict=True)
    found = [(level, sure) for level, sure in pairs if sure is not None]
    if not found:
        return None
    return {"noise": [level for level, _ in found], "confidence": [sure for _, sure in found]}
