"""The effects that claims are about: from documents to a number and its intervals.

An effect is a function of what it is measured on, a `Measured` for each model and task that the
part of the claim names, in that order. None: the runs do not hold what it needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

import numpy as np

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.metrics import Columns, Interval, Sample, extract_columns, metrics_for
from vlm_confidence_tasks.metrics import intervals as methods
from vlm_confidence_tasks.metrics.extractors import representation_shift as representations
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.reducers import Values, drift_over_control, pooled_mean
from vlm_confidence_tasks.metrics.sample import Value

METRICS = metrics_for(perturbations.families())

# Documents by question, category and image.
Documents = Mapping[tuple[str, str, str], Sample]


@dataclass(frozen=True)
class Measured:
    """What one model answered in one task.

    Attributes:
        documents: The documents.
        parameters: How many parameters the model has, where that matters.
    """

    documents: Documents
    parameters: float | None = None

    @property
    def samples(self) -> list[Sample]:
        """The documents without their keys."""
        return list(self.documents.values())


@dataclass(frozen=True)
class Effect:
    """A number and its intervals over images.

    Attributes:
        estimate: The number.
        documents: How many documents it is of.
        images: How many images these are about.
        at: Its interval at a level, None where there is none.
    """

    estimate: float
    documents: int
    images: int
    at: Callable[[float], Interval | None]


EffectOf = Callable[[Sequence[Measured]], Effect | None]


def entropy_change(held: Sequence[Measured]) -> Effect | None:
    """Mean H(variant) - H(clean), in nats."""
    columns = extract_columns(METRICS["entropy_delta"], held[0].samples)
    return _mean(columns)


def entropy_trend(epsilons: Sequence[float], held: Sequence[Measured]) -> Effect | None:
    """Mean over documents of the least-squares slope of H over epsilon, times its range.

    Args:
        epsilons: The strength of each task's noise.
        held: A task a strength.
    """
    weights = _slope_weights(epsilons) * (max(epsilons) - min(epsilons))
    rows = []
    for samples in _common([each.documents for each in held]):
        means = [_mean_entropy(sample) for sample in samples]
        entropies = [entropy for entropy in means if entropy is not None]
        if len(entropies) == len(held):
            rows.append((float(np.dot(weights, entropies)), samples[0].image_id))
    return _mean(_scores(rows))


def entropy_auroc(held: Sequence[Measured]) -> Effect | None:
    """AUROC of entropy, perturbed against clean."""
    metric = METRICS["defense_auroc"]
    columns = extract_columns(metric, held[0].samples)
    at = partial(methods.of_defense, attrgetter("auroc"), columns)
    return _effect(columns, metric.reduce, at)


def flips_over(family: str, other: str, held: Sequence[Measured]) -> Effect | None:
    """Flip rate of one family less that of another, of the documents shown in both."""
    return _rate_difference(f"ifr_{other}", f"ifr_{family}", held[0].samples)


def hidden_drift(channel: str, held: Sequence[Measured]) -> Effect | None:
    """Drift where the answer stayed, over the control drift of the same answers."""
    rows = []
    for sample in held[0].samples:
        moved = representations.unflipped(channel, sample, sample.perturbed)
        control = representations.control(channel, sample, sample.perturbed)
        if moved and control:
            value = {"moved": math.fsum(moved) / len(moved), "instances": len(moved)}
            rows.append((value | {"control": control[0]}, sample.image_id))
    columns = _columns(rows)
    return _effect(
        columns, drift_over_control, partial(methods.of_ratio, "moved", "control", columns)
    )


def flips_by_size(held: Sequence[Measured]) -> Effect | None:
    """Mean over documents of the least-squares slope of the flip rate over log2(parameters)."""
    weights = _slope_weights([math.log2(each.parameters or math.nan) for each in held])
    extract = METRICS["ifr"].extract
    rows = []
    for samples in _common([each.documents for each in held]):
        values = [value for sample in samples if (value := extract(sample)) is not None]
        if len(values) == len(held):
            slope = float(np.dot(weights, [value["score"] for value in values]))
            rows.append((slope, samples[0].image_id))
    return _mean(_scores(rows))


def false_positives(held: Sequence[Measured]) -> Effect | None:
    """Share of "Yes" among answers to questions of gold "No", perturbed less clean."""
    asked = [sample for sample in held[0].samples if sample.gold == "No"]
    return _rate_difference("yes_ratio_clean", "yes_ratio", asked)


def accuracy_change(held: Sequence[Measured]) -> Effect | None:
    """Accuracy, perturbed less clean."""
    return _rate_difference("accuracy_clean", "accuracy", held[0].samples)


def inflation_change(held: Sequence[Measured]) -> Effect | None:
    """Stated certainty less correctness on clean images, in the first task less in the second."""
    rows = []
    for samples in _common([each.documents for each in held]):
        gaps = [_stated_gap(sample) for sample in samples]
        if gaps[0] is not None and gaps[1] is not None:
            rows.append((gaps[0] - gaps[1], samples[0].image_id))
    return _mean(_scores(rows))


def stated_error_change(held: Sequence[Measured]) -> Effect | None:
    """ECE of stated confidence, of the second model less of the first."""
    metric = METRICS["verbal_ece"]
    columns = _paired("verbal_ece", "verbal_ece", _common([each.documents for each in held]))
    at = partial(methods.of_calibration_error, "uniform", metric.reduce, columns)
    return _effect(columns, metric.reduce, at)


def accuracy_between(held: Sequence[Measured]) -> Effect | None:
    """Accuracy on perturbed images, of the second model less of the first."""
    columns = _paired("accuracy", "accuracy", _common([each.documents for each in held]))
    return _effect(columns, pooled_mean, partial(methods.of_rate, columns))


def _effect(
    columns: Columns,
    reduce: Callable[[Values], float | None],
    at: Callable[[float], Interval | None],
) -> Effect | None:
    if not all(columns.sides):
        return None
    estimate = columns.difference(reduce)
    if estimate is None:
        return None
    return Effect(estimate, len(columns.sides[-1]), len(set(columns.clusters)), at)


def _mean(columns: Columns) -> Effect | None:
    return _effect(columns, pooled_mean, partial(methods.of_mean, methods.NO_BOUNDS, columns))


def _rate_difference(first: str, second: str, samples: Sequence[Sample]) -> Effect | None:
    """The second of two rates less the first, of the documents that have both."""
    columns = _paired(first, second, [(sample, sample) for sample in samples])
    return _effect(columns, pooled_mean, partial(methods.of_rate, columns))


def _paired(first: str, second: str, pairs: Sequence[Sequence[Sample]]) -> Columns:
    """Extract a metric from the first of each pair and one from the second, where both exist."""
    extracts = [METRICS[name].extract for name in (first, second)]
    found = [
        [extract(sample) for extract, sample in zip(extracts, pair, strict=True)] for pair in pairs
    ]
    rows = [
        (value, pair[0].image_id, bool(side))
        for side in (0, 1)
        for both, pair in zip(found, pairs, strict=True)
        if None not in both and (value := both[side]) is not None
    ]
    values, images, second_side = zip(*rows, strict=True) if rows else ((), (), ())
    return Columns(values, images, second_side)


def _scores(rows: Sequence[tuple[float, str]]) -> Columns:
    return _columns([({"score": score, "n": 1}, image) for score, image in rows])


def _columns(rows: Sequence[tuple[Value, str]]) -> Columns:
    return Columns([value for value, _ in rows], [image for _, image in rows])


def _common(documents: Sequence[Documents]) -> list[tuple[Sample, ...]]:
    """Return the documents that all hold, in one order."""
    keys = sorted(set.intersection(*(set(each) for each in documents)))
    return [tuple(each[key] for each in documents) for key in keys]


def _slope_weights(x: Sequence[float]) -> Floats:
    """Return w with sum(w y) the least-squares slope of y over x."""
    centred = np.asarray(x, dtype=np.float64) - np.mean(x)
    weights: Floats = centred / (centred @ centred)
    return weights


def _mean_entropy(sample: Sample) -> float | None:
    found = [r.entropy for r in sample.perturbed]
    known = [entropy for entropy in found if entropy is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(found) else None


def _stated_gap(sample: Sample) -> float | None:
    clean = sample.clean
    if clean.verbal_confidence is None or clean.answer is None or sample.gold is None:
        return None
    return clean.verbal_confidence - float(bool(clean.correct))
