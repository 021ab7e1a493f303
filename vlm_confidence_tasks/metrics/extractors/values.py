"""The value that a metric extracts from a sample, made of numbers of its answers.

A metric that is a mean has "score", the sample's own mean, and "n", the number of its
instances; any other has counts or columns, and no "score". None: the metric does not
apply to the sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from vlm_confidence_tasks.metrics.extractors import generated_answers as answers
from vlm_confidence_tasks.metrics.extractors import representation_shift as representations
from vlm_confidence_tasks.metrics.extractors import verbal_confidence as verbal
from vlm_confidence_tasks.metrics.functional.classification import confusion
from vlm_confidence_tasks.metrics.sample import Sample, Value
from vlm_confidence_tasks.types import Readout

Select = Callable[[Sample], Sequence[Readout]]
Numbers = Callable[[Sample, Sequence[Readout]], list[float]]
ChannelNumbers = Callable[[str, Sample, Sequence[Readout]], list[float]]


def clean(sample: Sample) -> Sequence[Readout]:
    """Select the clean answer, once for each perturbed one."""
    return sample.paired_clean


def perturbed(sample: Sample) -> Sequence[Readout]:
    """Select the answers that pooled metrics count."""
    return sample.perturbed


def of_family(name: str, sample: Sample) -> Sequence[Readout]:
    """Select the answers to the variants of one family."""
    return sample.families.get(name, ())


def mean(name: str, numbers: Numbers, select: Select, sample: Sample) -> Value | None:
    """Return the mean of a sample's numbers and how many they are.

    Args:
        name: The metric, for the error.
        numbers: Gives a number an answer.
        select: Selects the answers.
        sample: The sample.

    Raises:
        ValueError: One of the numbers is NaN or infinite.
    """
    found = numbers(sample, select(sample))
    if not found:
        return None
    score = found[0] if len(found) == 1 else math.fsum(found) / len(found)
    if not math.isfinite(score):
        raise ValueError(f"image {sample.image_id}: {name} gave {found}")
    return {"score": score, "n": len(found)}


def confusion_counts(select: Select, sample: Sample) -> Value | None:
    """Count true positives, false positives and false negatives."""
    labels = [readout.answer for readout in select(sample)]
    if sample.positive is None or sample.gold is None or not labels:
        return None
    return vars(confusion([sample.gold] * len(labels), labels, sample.positive))


def claim_counts(select: Select, sample: Sample) -> Value | None:
    """Count true claims to be right, false ones, and right answers without a claim."""
    claims = verbal.claims(sample, select(sample))
    if not claims:
        return None
    return {
        "tp": claims.count((True, True)),
        "fp": claims.count((False, True)),
        "fn": claims.count((True, False)) + claims.count((True, None)),
    }


def calibration_columns(pairs: answers.Pairs, select: Select, sample: Sample) -> Value | None:
    """Return confidence and correctness of the answers, as two columns, and the image."""
    found = pairs(sample, select(sample))
    if not found:
        return None
    return {
        "confidence": [sure for sure, _ in found],
        "correct": [int(hit) for _, hit in found],
        "image_id": sample.image_id,
    }


def overconfidence(pairs: answers.Pairs, select: Select, sample: Sample) -> Value | None:
    """Return the mean of confidence - correct, and the sums that it is made of."""
    found = pairs(sample, select(sample))
    if not found:
        return None
    sure, right, n = math.fsum(c for c, _ in found), sum(hit for _, hit in found), len(found)
    return {"score": (sure - right) / n, "n": n, "sure": sure, "right": right}


def squared_gap(pairs: answers.Pairs, select: Select, sample: Sample) -> Value | None:
    """Return the mean of (confidence - correct)^2."""
    return mean("brier", partial(answers.squared_gap, pairs), select, sample)


def alignment_columns(select: Select, sample: Sample) -> Value | None:
    """Return stated and token confidence of the answers, as two columns."""
    found = verbal.aligned(sample, select(sample))
    if not found:
        return None
    return {"verbal": [stated for stated, _ in found], "token": [sure for _, sure in found]}


def entropy_change(sample: Sample) -> Value | None:
    """Return the sum of the sample's changes in entropy, of how many it is, and the image."""
    found = mean("entropy_delta", answers.entropy_difference, perturbed, sample)
    if found is None:
        return None
    total = found["score"] * found["n"]
    return {"difference": total, "n": found["n"], "image_id": sample.image_id}


def entropies(sample: Sample) -> Value | None:
    """Return clean and perturbed entropies, as many of the clean answer as perturbed ones."""
    found = answers.entropy(sample, perturbed(sample))
    if sample.clean.entropy is None or not found:
        return None
    return {"clean": [sample.clean.entropy] * len(found), "perturbed": found}


def by_family(numbers: Numbers, sample: Sample) -> Value | None:
    """Return sum and count of each family's numbers, of the answers that pooled metrics count."""
    grouped: dict[str, list[Readout]] = {}
    for readout in perturbed(sample):
        grouped.setdefault(readout.variant.family, []).append(readout)
    found = {family: numbers(sample, readouts) for family, readouts in grouped.items()}
    if not any(found.values()):
        return None
    return {
        "sum": {family: math.fsum(each) for family, each in found.items()},
        "count": {family: len(each) for family, each in found.items()},
    }


def drift_and_control(against: ChannelNumbers, channel: str, sample: Sample) -> Value | None:
    """Return the sample's mean drift, of how many instances it is, and its control drift.

    Args:
        against: Gives the control drift.
        channel: Of the vectors.
        sample: The sample.
    """
    moved = representations.drift(channel, sample, perturbed(sample))
    control = against(channel, sample, perturbed(sample))
    if not moved or not control:
        return None
    return {
        "moved": math.fsum(moved) / len(moved),
        "instances": len(moved),
        "control": control[0],
    }
