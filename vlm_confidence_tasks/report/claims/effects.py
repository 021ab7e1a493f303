"""The effects that claims are about: from documents to a number and its intervals.

An effect is a function of what it is measured on, a `Measured` for each model and task that the
part of the claim names, in that order. None: the runs do not hold what it needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.metrics import (
    Answers,
    Interval,
    Mean,
    NamedMetric,
    Rate,
    Sample,
    metrics_for,
)
from vlm_confidence_tasks.metrics.catalogue import changes
from vlm_confidence_tasks.metrics.catalogue.flips import flip
from vlm_confidence_tasks.metrics.catalogue.representations import control, unflipped_drift
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.statistics.ratios import SumRatio, ratio_interval
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic

METRICS = metrics_for(perturbations.families())
# A weighted sum under this share of its numbers, each with the largest weight, is rounding.
ROUNDING = 1e-12

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
    def answers(self) -> Answers:
        """The documents as a table."""
        return Answers.of(self.documents.values())


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
    """Mean H(variant) - H(clean), over the mean H(clean)."""
    return _effect(SumRatio(changes.entropy_change, _clean_entropy), held[0].answers.perturbed)


def entropy_auroc(held: Sequence[Measured]) -> Effect | None:
    """AUROC of entropy, perturbed against clean."""
    return _metric("defense_auroc", held[0].answers)


def entropy_trend(epsilons: Sequence[float], held: Sequence[Measured]) -> Effect | None:
    """Mean over documents of the slope of H over epsilon, times its range, over the mean H(clean).

    The slope is that of least squares.

    Args:
        epsilons: The strength of each task's noise.
        held: A task for each strength.
    """
    weights = _slope_weights(epsilons) * (max(epsilons) - min(epsilons))
    tables = _common(held)
    slopes, image = _weighted(weights, tables, Mean(lambda answers: answers.entropy))
    clean, _ = _weighted(np.full(len(held), 1.0 / len(held)), tables, Mean(_clean_entropy))
    return _mean(slopes, image, ~np.isnan(slopes + clean), clean)


def flips_by_size(held: Sequence[Measured]) -> Effect | None:
    """Mean over documents of the least-squares slope of the flip rate over log2(parameters)."""
    weights = _slope_weights([math.log2(each.parameters or math.nan) for each in held])
    slopes, image = _weighted(weights, _common(held), Rate(flip))
    return _mean(slopes, image, ~np.isnan(slopes))


def flips_over(family: str, other: str, held: Sequence[Measured]) -> Effect | None:
    """Flip rate of one family less that of another, of the documents shown in both."""
    return _difference(f"ifr_{other}", f"ifr_{family}", held[0].answers)


def hidden_drift(channel: str, held: Sequence[Measured]) -> Effect | None:
    """Drift where the answer stayed, over the control drift of the same answers."""
    ratio = SumRatio(unflipped_drift, control)
    return _effect(ratio, held[0].answers.of_channel(channel).perturbed)


def false_positives(held: Sequence[Measured]) -> Effect | None:
    """Share of "Yes" among answers to questions of gold "No", perturbed less clean."""
    asked = [sample for sample in held[0].documents.values() if sample.gold == "No"]
    return _difference("yes_ratio_clean", "yes_ratio", Answers.of(asked))


def accuracy_change(held: Sequence[Measured]) -> Effect | None:
    """Accuracy, perturbed less clean."""
    return _difference("accuracy_clean", "accuracy", held[0].answers)


def inflation_change(held: Sequence[Measured]) -> Effect | None:
    """Stated certainty less correctness on clean images, in the first task less in the second."""
    documents = [answers.documents for answers in _common(held)]
    gaps = [_stated_gap(view) for view in documents]
    change = gaps[0] - gaps[1]
    return _mean(change, documents[0].image, ~np.isnan(change))


def stated_error_change(held: Sequence[Measured]) -> Effect | None:
    """ECE of stated confidence, of the second model less of the first."""
    return _difference("verbal_ece", "verbal_ece", *_common(held))


def accuracy_between(held: Sequence[Measured]) -> Effect | None:
    """Accuracy on perturbed images, of the second model less of the first."""
    return _difference("accuracy", "accuracy", *_common(held))


def _metric(name: str, answers: Answers) -> Effect | None:
    metric: NamedMetric = METRICS[name]
    return _effect(metric.statistic, metric.view(answers))


def _effect(statistic: Statistic, answers: Answers) -> Effect | None:
    estimate = statistic.value(answers)
    if estimate is None:
        return None
    counted = np.unique(answers.document[statistic.counts(answers)])
    images = np.unique(answers.image[np.isin(answers.document, counted)])
    at = partial(statistic.interval, answers)
    return Effect(estimate, counted.size, images.size, at)


def _difference(
    first: str, second: str, answers: Answers, other: Answers | None = None
) -> Effect | None:
    """The second metric less the first, of the documents that have both.

    Args:
        first: Name of the first metric.
        second: Name of the second.
        answers: The table of the first.
        other: That of the second, about the same documents; None: the first's.
    """
    metrics = METRICS[first], METRICS[second]
    tables = answers, answers if other is None else other
    statistic = metrics[1].statistic
    views = [metric.view(table) for metric, table in zip(metrics, tables, strict=True)]
    counted = [np.unique(view.document[statistic.counts(view)]) for view in views]
    shared = np.intersect1d(counted[0], counted[1])
    one, two = (view.where(np.isin(view.document, shared)) for view in views)
    a, b = statistic.value(one), statistic.value(two)
    if a is None or b is None:
        return None
    at = partial(statistic.difference, one, two)
    return Effect(b - a, shared.size, np.unique(one.image).size, at)


def _clean_entropy(answers: Answers) -> Floats:
    return answers.counterpart.entropy


def _weighted(weights: Floats, tables: Sequence[Answers], of: Mean) -> tuple[Floats, Ints]:
    """Return the weighted sum of each document's means, NaN without all of them, and its image.

    Of equal means a slope is exactly 0: what rounding leaves of it would pass for a small effect
    with a still smaller spread.
    """
    size = max((int(table.document.max(initial=-1)) + 1 for table in tables), default=0)
    means, image = np.full((len(tables), size), np.nan), np.zeros(size, dtype=np.intp)
    for mean, table in zip(means, tables, strict=True):
        sums = of.sums(table.perturbed)
        if sums is not None:
            shown = np.bincount(table.perturbed.document, minlength=size)[sums.document]
            mean[sums.document] = np.where(shown == sums.count, sums.totals[0] / sums.count, np.nan)
            image[sums.document] = sums.image
    summed = weights @ means
    rounded = np.abs(summed) <= ROUNDING * np.abs(weights).max() * np.abs(means).sum(axis=0)
    return np.where(rounded, 0.0, summed), image


def _mean(numbers: Floats, images: Ints, known: Bools, over: Floats | None = None) -> Effect | None:
    """Mean of some documents' numbers, each once, or the ratio of its sum to that of others."""
    values, image = numbers[known], images[known]
    counts = np.ones(values.size) if over is None else over[known]
    if not counts.any():
        return None

    def at(level: float) -> Interval | None:
        return ratio_interval(values, counts, image, level=level)

    estimate = math.fsum(values) / math.fsum(counts)
    return Effect(estimate, values.size, np.unique(image).size, at)


def _common(held: Sequence[Measured]) -> list[Answers]:
    """Return the tables of the documents that all hold, with the same numbers of documents."""
    keys = set.intersection(*(set(each.documents) for each in held))
    images = sorted({each.documents[key].image_id for each in held for key in keys})
    return [Answers.of([each.documents[key] for key in keys], images) for each in held]


def _slope_weights(x: Sequence[float]) -> Floats:
    """Return w with sum(w y) the least-squares slope of y over x."""
    # From the first on: what the mean of large numbers loses would be in the sum of the weights.
    along = np.asarray(x, dtype=np.float64) - x[0]
    centred = along - np.mean(along)
    weights: Floats = centred / (centred @ centred)
    return weights


def _stated_gap(answers: Answers) -> Floats:
    known = answers.answer >= 0
    return np.where(known, answers.stated - answers.correct, np.nan)
