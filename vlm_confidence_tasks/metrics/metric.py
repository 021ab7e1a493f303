"""The record of a metric, from which task, table, report and comparison all take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.intervals import Columns
from vlm_confidence_tasks.metrics.reducers import Values
from vlm_confidence_tasks.metrics.sample import Sample, Value

Extract = Callable[[Sample], Value | None]
IntervalFunction = Callable[[Columns], Interval | None]


@dataclass(frozen=True)
class Metric:
    """One number of a task's results.

    Attributes:
        name: Its name in the results.
        extract: The value of a sample, made of JSON types; None if the metric does not
            apply to it. Holds "score" (the sample's own mean) and "n" (its instances) if
            and only if the metric is a mean of these. Metrics with equal values share one
            function, so that it need be called only once.
        reduce: The number made of all values, in any order; None if it could not be
            computed. Keys that are not the metric's own are ignored.
        interval: Its 95% interval over images; None for a number that estimates nothing (a
            p-value, a noise floor).
        requires: What a task must measure for it to exist: a subset of {"verbal", "loglik",
            "representations", "same_question", "attacks", "object_noise"}.
        higher_is_better: None where neither way is better.
        description: What the number means, in one line.
        floor: The metric that it is to be held against, what a perfectly calibrated model
            would show; None for most.
        is_p: Whether it is a p-value, one among others.
        beside: Older metrics: where a run lists all of these, it is shown too, so that runs of
            a time before it was there gain it. None: where it is listed alone.
    """

    name: str
    extract: Extract
    reduce: Callable[[Values], float | None]
    interval: IntervalFunction | None
    requires: frozenset[str]
    higher_is_better: bool | None
    description: str
    floor: str | None = None
    is_p: bool = False
    beside: frozenset[str] | None = None
