"""Numbers of stated confidences, by the rules of `generated_answers`.

They are there if the task asks for them in a second turn, and need no logits.
"""

from __future__ import annotations

from collections.abc import Sequence

from vlm_confidence_tasks.metrics.sample import Sample
from vlm_confidence_tasks.types import Readout

Readouts = Sequence[Readout]

# From this stated confidence on, a model is taken to claim that the answer is right.
CERTAIN = 0.5


def confidence(sample: Sample, readouts: Readouts) -> list[float]:
    """Stated confidence of each answer for which a number was given."""
    return [r.verbal_confidence for r in readouts if r.verbal_confidence is not None]


def invalid(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether no number was given, for each answer with a second turn."""
    return [float(r.verbal_confidence is None) for r in _follow_ups(readouts)]


def calibrated(sample: Sample, readouts: Readouts) -> list[tuple[float, bool]]:
    """Stated confidence and correctness of each answer that has both.

    An answer to a closed question that could not be read is left out, as it is in the
    calibration of token confidence, where it has none.
    """
    if sample.gold is None:
        return []
    return [
        (r.verbal_confidence, bool(r.correct))
        for r in readouts
        if r.verbal_confidence is not None and (r.answer is not None or not sample.labels)
    ]


def claims(sample: Sample, readouts: Readouts) -> list[tuple[bool, bool | None]]:
    """Whether each answer is right, and whether the model claims so; None: it did not say.

    An answer that could not be read is quoted as it stands in the second turn, and is wrong.
    """
    if sample.gold is None:
        return []
    return [(bool(r.correct), _claim(r)) for r in _follow_ups(readouts)]


def accuracy(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each claim is true; that nothing was claimed is not."""
    return [float(right == claim) for right, claim in claims(sample, readouts)]


def aligned(sample: Sample, readouts: Readouts) -> list[tuple[float, float]]:
    """Stated and token confidence of each answer that has both."""
    return [
        (r.verbal_confidence, r.confidence)
        for r in readouts
        if r.verbal_confidence is not None and r.confidence is not None
    ]


def _follow_ups(readouts: Readouts) -> list[Readout]:
    return [r for r in readouts if r.verbal_text is not None]


def _claim(readout: Readout) -> bool | None:
    stated = readout.verbal_confidence
    return None if stated is None else stated >= CERTAIN
