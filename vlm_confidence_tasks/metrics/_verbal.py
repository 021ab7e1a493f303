"""From one document's second turns to the numbers that a mean is taken over.

As in `_sources`: one number an instance, none where the measure does not apply. Second
turns are there if the task asks for them: they need no logits.
"""

from __future__ import annotations

from collections.abc import Sequence

from vlm_confidence_tasks.metrics.document import Document
from vlm_confidence_tasks.types import Readout

Readouts = Sequence[Readout]

# From this stated confidence on, a model is taken to claim that the answer is right.
CERTAIN = 0.5


def confidence(document: Document, readouts: Readouts) -> list[float]:
    """Stated confidence of each answer for which a number was given."""
    return [r.verbal_confidence for r in readouts if r.verbal_confidence is not None]


def invalid(document: Document, readouts: Readouts) -> list[float]:
    """Whether no number was given, for each answer that was asked about."""
    return [float(r.verbal_confidence is None) for r in _asked(readouts)]


def calibrated(document: Document, readouts: Readouts) -> list[tuple[float, bool]]:
    """Stated confidence and correctness of each answer that has both.

    An answer that could not be read was asked about as it stood, and is wrong.
    """
    if document.gold is None:
        return []
    return [
        (r.verbal_confidence, bool(r.correct)) for r in readouts if r.verbal_confidence is not None
    ]


def claims(document: Document, readouts: Readouts) -> list[tuple[bool, bool | None]]:
    """Whether each answer is right, and whether the model claims so; None: it did not say."""
    if document.gold is None:
        return []
    return [(bool(r.correct), _claim(r)) for r in _asked(readouts)]


def accuracy(document: Document, readouts: Readouts) -> list[float]:
    """Whether each claim is true; that nothing was claimed is not."""
    return [float(right == claim) for right, claim in claims(document, readouts)]


def aligned(document: Document, readouts: Readouts) -> list[tuple[float, float]]:
    """Stated and token confidence of each answer that has both."""
    return [
        (r.verbal_confidence, r.confidence)
        for r in readouts
        if r.verbal_confidence is not None and r.confidence is not None
    ]


def _asked(readouts: Readouts) -> list[Readout]:
    return [r for r in readouts if r.verbal_text is not None]


def _claim(readout: Readout) -> bool | None:
    stated = readout.verbal_confidence
    return None if stated is None else stated >= CERTAIN
