"""From one document's answers to the numbers that a mean is taken over.

Each function takes a document and those of its Readouts that are looked at, and returns
one number an instance: none where the measure does not apply to the document, or where
the backend gave no logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from vlm_confidence_tasks.metrics._calibration import SMALLEST_PROBABILITY
from vlm_confidence_tasks.metrics._flips import visual_entropy
from vlm_confidence_tasks.metrics.document import Document
from vlm_confidence_tasks.types import Readout

Readouts = Sequence[Readout]
# A document's answers as (confidence, whether it is right).
Pairs = Callable[[Document, Readouts], list[tuple[float, bool]]]


def correct(document: Document, readouts: Readouts) -> list[float]:
    """Whether each answer is right; an answer that could not be read is wrong."""
    return [] if document.gold is None else [float(bool(r.correct)) for r in readouts]


def upstream(document: Document, readouts: Readouts) -> list[float]:
    """Upstream's own score of the clean text."""
    return [] if document.upstream_clean is None else [document.upstream_clean]


def said_yes(document: Document, readouts: Readouts) -> list[float]:
    """Whether each answer is "Yes", where precision and recall are used at all."""
    if document.positive is None or "Yes" not in document.labels:
        return []
    return [float(r.answer == "Yes") for r in readouts]


def invalid(document: Document, readouts: Readouts) -> list[float]:
    """Whether no label could be read from each answer."""
    return [float(r.answer is None) for r in readouts] if document.labels else []


def answer_mass(document: Document, readouts: Readouts) -> list[float]:
    """Probability of all labels together at the answer position."""
    if not document.labels:
        return []
    return [r.answer_mass for r in readouts if r.answer_mass is not None]


def confidence(document: Document, readouts: Readouts) -> list[float]:
    """Probability of each answer that could be read."""
    return [r.confidence for r in readouts if r.confidence is not None] if document.labels else []


def calibrated(document: Document, readouts: Readouts) -> list[tuple[float, bool]]:
    """Confidence and correctness of each answer that has both."""
    if document.gold is None or not document.labels:
        return []
    return [(r.confidence, bool(r.correct)) for r in readouts if r.confidence is not None]


def overconfidence(pairs: Pairs, document: Document, readouts: Readouts) -> list[float]:
    """Confidence minus correctness."""
    return [sure - right for sure, right in pairs(document, readouts)]


def squared_gap(pairs: Pairs, document: Document, readouts: Readouts) -> list[float]:
    """Squared confidence minus correctness, the Brier score's summand."""
    return [(sure - right) ** 2 for sure, right in pairs(document, readouts)]


def gold_surprise(document: Document, readouts: Readouts) -> list[float]:
    """-ln probs[gold] in nats, over the instances that the other calibration measures use."""
    gold = document.gold
    if gold is None or not document.labels:
        return []
    held = [r.probs[gold] for r in readouts if r.probs is not None and r.confidence is not None]
    return [-math.log(max(probability, SMALLEST_PROBABILITY)) for probability in held]


def entropy(document: Document, readouts: Readouts) -> list[float]:
    """Mean token entropy of each answer, in nats."""
    return [r.entropy for r in readouts if r.entropy is not None]


def entropy_difference(document: Document, readouts: Readouts) -> list[float]:
    """Entropy of each answer minus the clean answer's, in nats."""
    clean = document.clean.entropy
    return [] if clean is None else [value - clean for value in entropy(document, readouts)]


def entropy_drop(document: Document, readouts: Readouts) -> list[float]:
    """Whether each answer's entropy is under the clean answer's."""
    return [float(difference < 0) for difference in entropy_difference(document, readouts)]


def flip(document: Document, readouts: Readouts) -> list[float]:
    """Whether each answer is another than the clean one; unparsed is an answer too."""
    if not document.labels:
        return []
    return [float(r.answer != document.clean.answer) for r in readouts]


def any_flip(document: Document, readouts: Readouts) -> list[float]:
    """Whether any answer is another than the clean one: one number a document."""
    flips = flip(document, readouts)
    return [max(flips)] if flips else []


def answer_entropy(document: Document, readouts: Readouts) -> list[float]:
    """Entropy of the answers to the clean image and its variants, in nats."""
    if not document.labels or not readouts:
        return []
    return [visual_entropy([document.clean.answer, *(r.answer for r in readouts)])]


def broken(document: Document, readouts: Readouts) -> list[float]:
    """Whether each answer is wrong, where the clean one is right."""
    if not document.clean.correct:
        return []
    return [1.0 - right for right in correct(document, readouts)]


def repaired(document: Document, readouts: Readouts) -> list[float]:
    """Whether each answer is right, where the clean one is wrong."""
    return [] if document.clean.correct else correct(document, readouts)


def false_positive_repaired(document: Document, readouts: Readouts) -> list[float]:
    """Whether each answer is "No", where gold is "No" and the clean answer "Yes"."""
    return _became(document, readouts, wanted="No", wrong="Yes")


def false_negative_repaired(document: Document, readouts: Readouts) -> list[float]:
    """Whether each answer is "Yes", where gold is "Yes" and the clean answer "No"."""
    return _became(document, readouts, wanted="Yes", wrong="No")


def _became(document: Document, readouts: Readouts, wanted: str, wrong: str) -> list[float]:
    asked = document.positive == "Yes" and document.gold == wanted
    if not asked or document.clean.answer != wrong:
        return []
    return [float(r.answer == wanted) for r in readouts]
