"""What is fitted on clean answers and judged on clean and perturbed ones, of one sample.

Every value holds "clean", the clean answer's own, once or not at all; "perturbed", those of the
answers that pooled metrics count; and "n", how often the clean one counts: once for each of
these. None: there is no such answer on either side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from statistics import fmean

from vlm_confidence_tasks.metrics.extractors import generated_answers as answers
from vlm_confidence_tasks.metrics.functional.entropy import visual_entropy
from vlm_confidence_tasks.metrics.sample import Sample, Value
from vlm_confidence_tasks.types import Readout


@dataclass(frozen=True)
class Choice:
    """Probabilities of labels, and which label is taken for the answer.

    Attributes:
        probs: Of an answer, by label; None without any.
        answer: Its label, None without one.
    """

    probs: Callable[[Readout], Mapping[str, float] | None]
    answer: Callable[[Readout], str | None]


def _shares(readout: Readout) -> Mapping[str, float] | None:
    """Return each option's share in the likelihood of all."""
    scores = readout.option_logprob
    if not scores:
        return None
    best = max(scores.values())
    weights = {label: math.exp(score - best) for label, score in scores.items()}
    total = math.fsum(weights.values())
    return {label: weight / total for label, weight in weights.items()}


# An answer without a confidence has no place in any calibration.
LABELS = Choice(lambda r: r.probs if r.confidence is not None else None, lambda r: r.answer)
OPTIONS = Choice(_shares, lambda r: r.loglik_answer)


def distributions(choice: Choice, sample: Sample) -> Value | None:
    """Return the labels' probabilities, the answers and the right label as indices.

    "uniform" is a number in [0, 1) of the document, for sets that are randomised: made of its
    image, right label and clean probabilities, so that it is the same in every subset.
    """
    if sample.gold is None or not sample.labels:
        return None
    clean = _rows(choice, sample, sample.paired_clean[:1])
    perturbed = _rows(choice, sample, sample.perturbed)
    if not clean and not perturbed:
        return None
    own = repr((sample.image_id, sample.gold, clean)).encode()
    return {
        "image_id": sample.image_id,
        "gold": sample.labels.index(sample.gold),
        "clean": [probs for probs, _ in clean],
        "clean_answer": [answer for _, answer in clean],
        "perturbed": [probs for probs, _ in perturbed],
        "perturbed_answer": [answer for _, answer in perturbed],
        "uniform": int.from_bytes(sha256(own).digest()[:6], "big") / 2**48,
        "n": len(sample.perturbed),
    }


def _rows(
    choice: Choice, sample: Sample, readouts: Sequence[Readout]
) -> list[tuple[list[float], int]]:
    found = []
    for readout in readouts:
        probs, answer = choice.probs(readout), choice.answer(readout)
        if probs is not None and answer is not None:
            row = [probs[label] for label in sample.labels]
            found.append((row, sample.labels.index(answer)))
    return found


def confidences(pairs: answers.Pairs, sample: Sample) -> Value | None:
    """Return confidence and correctness, as columns."""
    clean, perturbed = pairs(sample, sample.paired_clean[:1]), pairs(sample, sample.perturbed)
    if not clean and not perturbed:
        return None
    return {
        "image_id": sample.image_id,
        "clean": [sure for sure, _ in clean],
        "clean_correct": [int(hit) for _, hit in clean],
        "perturbed": [sure for sure, _ in perturbed],
        "perturbed_correct": [int(hit) for _, hit in perturbed],
        "n": len(sample.perturbed),
    }


def _doubt(readout: Readout) -> float | None:
    return None if readout.confidence is None else 1.0 - readout.confidence


def _stated_doubt(sample: Sample) -> float | None:
    stated = sample.clean.verbal_confidence
    return None if stated is None else 1.0 - stated


def _visual_entropy(sample: Sample) -> float | None:
    if not sample.labels or not sample.perturbed:
        return None
    return visual_entropy([sample.clean.answer, *(r.answer for r in sample.perturbed)])


def _drift(sample: Sample) -> float | None:
    insides = [r.inside for r in sample.perturbed if r.inside is not None]
    moved = [inside.drift["context"] for inside in insides if "context" in inside.drift]
    return fmean(moved) if moved else None


def _layer_entropy(sample: Sample) -> float | None:
    layers = sample.clean.inside.layer_entropy if sample.clean.inside else ()
    return layers[len(layers) // 2] if layers else None


# Signals that a clean answer is wrong, greater where it is likelier; the first is what the
# others are held against.
SIGNALS: dict[str, Callable[[Sample], float | None]] = {
    "confidence": lambda sample: _doubt(sample.clean),
    "entropy": lambda sample: sample.clean.entropy,
    "verbal": _stated_doubt,
    "visual_entropy": _visual_entropy,
    "drift": _drift,
    "layer_entropy": _layer_entropy,
}


def signals(sample: Sample) -> Value | None:
    """Return whether the clean answer is wrong, and every signal of it that there is.

    An answer to a closed question that could not be read is left out, as in calibration.
    """
    if sample.gold is None or (sample.labels and sample.clean.answer is None):
        return None
    found = {name: signal(sample) for name, signal in SIGNALS.items()}
    shown = {name: value for name, value in found.items() if value is not None}
    if not shown:
        return None
    return {"image_id": sample.image_id, "wrong": int(not sample.clean.correct), "signals": shown}


def price(names: Collection[str], sample: Sample) -> int:
    """Return how many answers of the model some signals of this sample take together.

    The clean one is one of them; what it holds, its entropies by layer too, costs no other.
    """
    shown = {"visual_entropy", "drift"} & set(names)
    return 1 + ("verbal" in names) + (len(sample.perturbed) if shown else 0)
