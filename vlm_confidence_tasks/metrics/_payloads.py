"""What a metric keeps of one document, and the number that is made of all of these.

What is kept is made of JSON types alone: it travels between processes and into files.
A metric that is a mean keeps the document's own mean as "score" and the number of its
instances as "n"; any other keeps counts or columns, and no "score".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from vlm_confidence_tasks.metrics import _inside as inside
from vlm_confidence_tasks.metrics import _sources as sources
from vlm_confidence_tasks.metrics import _verbal as verbal
from vlm_confidence_tasks.metrics._checks import Floats
from vlm_confidence_tasks.metrics._classification import Confusion, confusion
from vlm_confidence_tasks.metrics._defense import ThresholdDefense, threshold_defense
from vlm_confidence_tasks.metrics._drift import cohens_d, drift_ratio
from vlm_confidence_tasks.metrics._entropy import wilcoxon_p
from vlm_confidence_tasks.metrics._ranking import spearman
from vlm_confidence_tasks.metrics.document import Document
from vlm_confidence_tasks.types import Readout

Value = dict[str, Any]
Values = Sequence[Value]
Pick = Callable[[Document], Sequence[Readout]]
Source = Callable[[Document, Sequence[Readout]], list[float]]


def clean(document: Document) -> Sequence[Readout]:
    """Pick the clean answer."""
    return (document.clean,)


def perturbed(document: Document) -> Sequence[Readout]:
    """Pick the answers that pooled metrics count."""
    return document.perturbed


def of_family(name: str, document: Document) -> Sequence[Readout]:
    """Pick the answers to the variants of one family."""
    return document.families.get(name, ())


def mean_value(name: str, source: Source, pick: Pick, document: Document) -> Value | None:
    """Keep the mean of a document's numbers and how many they are.

    Args:
        name: What the numbers are called in an error.
        source: Gives the numbers.
        pick: Picks the answers that they are of.
        document: The document.

    Raises:
        ValueError: One of the numbers is NaN or infinite.
    """
    numbers = source(document, pick(document))
    if not numbers:
        return None
    score = math.fsum(numbers) / len(numbers)
    if not math.isfinite(score):
        raise ValueError(f"image {document.image_id}: {name} gave {numbers}")
    return {"score": score, "n": len(numbers)}


def pooled_mean(values: Values) -> float | None:
    """Mean over all instances; `fsum`, so that the documents' order leaves no trace."""
    n = sum(value["n"] for value in values)
    return math.fsum(value["n"] * value["score"] for value in values) / n if n else None


def confusion_value(pick: Pick, document: Document) -> Value | None:
    """Keep a document's counts of true positives, false positives and misses."""
    answers = [readout.answer for readout in pick(document)]
    if document.positive is None or document.gold is None or not answers:
        return None
    counts = confusion([document.gold] * len(answers), answers, document.positive)
    return {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn}


def from_confusion(measure: Callable[[Confusion], float | None], values: Values) -> float | None:
    """Add the counts up and measure."""
    return measure(Confusion(*(sum(value[key] for value in values) for key in ("tp", "fp", "fn"))))


def claim_value(pick: Pick, document: Document) -> Value | None:
    """Keep counts of true claims to be right, false ones, and right answers without one."""
    claims = verbal.claims(document, pick(document))
    if not claims:
        return None
    return {
        "tp": claims.count((True, True)),
        "fp": claims.count((False, True)),
        "fn": claims.count((True, False)) + claims.count((True, None)),
    }


def calibration_value(source: sources.Pairs, pick: Pick, document: Document) -> Value | None:
    """Keep confidence and correctness of a document's answers, as two columns."""
    pairs = source(document, pick(document))
    if not pairs:
        return None
    return {"confidence": [sure for sure, _ in pairs], "correct": [int(hit) for _, hit in pairs]}


def from_calibration(
    measure: Callable[[Floats, Floats], float | None], values: Values
) -> float | None:
    """Join the columns in an order of their own, and measure."""
    confidence, correct = _joined("confidence", values), _joined("correct", values)
    if not confidence.size:
        return None
    order = np.lexsort((correct, confidence))
    return measure(confidence[order], correct[order])


def alignment_value(pick: Pick, document: Document) -> Value | None:
    """Keep stated and token confidence of a document's answers, as two columns."""
    pairs = verbal.aligned(document, pick(document))
    if not pairs:
        return None
    return {"verbal": [said for said, _ in pairs], "token": [sure for _, sure in pairs]}


def from_alignment(values: Values) -> float | None:
    """Join the columns in an order of their own, and correlate."""
    said, sure = _joined("verbal", values), _joined("token", values)
    order = np.lexsort((sure, said))
    return spearman(said[order], sure[order]) if said.size else None


def difference_value(document: Document) -> Value | None:
    """Keep a document's mean change in entropy."""
    kept = mean_value("entropy_delta", sources.entropy_difference, perturbed, document)
    return None if kept is None else {"difference": kept["score"]}


def from_differences(values: Values) -> float | None:
    """Test the documents' changes against 0."""
    return wilcoxon_p([value["difference"] for value in values])


def defense_value(document: Document) -> Value | None:
    """Keep a document's entropies, if it has some on both sides."""
    entropies = sources.entropy(document, perturbed(document))
    if document.clean.entropy is None or not entropies:
        return None
    return {"clean": [document.clean.entropy], "perturbed": entropies}


def from_defense(measure: Callable[[ThresholdDefense], float], values: Values) -> float | None:
    """Set the threshold on all clean entropies, and measure."""
    if not values:
        return None
    return measure(threshold_defense(_joined("clean", values), _joined("perturbed", values)))


def against_control_value(channel: str, document: Document) -> Value | None:
    """Keep a document's mean drift, of how many instances it is, and its control drift."""
    moved = inside.drift(channel, document, perturbed(document))
    control = inside.control(channel, document, ())
    if not moved or not control:
        return None
    mean, count = math.fsum(moved) / len(moved), len(moved)
    return {"moved": mean, "instances": count, "control": control[0]}


def from_ratio(values: Values) -> float | None:
    """Divide the drift of all instances by the control drift of all documents."""
    return drift_ratio(*_columns(values, "moved", "instances", "control")) if values else None


def from_effect(values: Values) -> float | None:
    """Compare the documents' drift with their control drift."""
    if not values:
        return None
    moved, control = _columns(values, "moved", "control")
    return cohens_d(np.sort(moved), np.sort(control))


def _columns(values: Values, *keys: str) -> list[Floats]:
    return [np.array([value[key] for value in values], dtype=np.float64) for key in keys]


def _joined(key: str, values: Values) -> Floats:
    return np.fromiter(chain.from_iterable(map(itemgetter(key), values)), dtype=np.float64)
