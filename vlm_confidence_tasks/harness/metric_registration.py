"""Registers metrics with the harness, and makes what it is handed of each document."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from lmms_eval.api import registry

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.metrics import Answers, Mean, NamedMetric
from vlm_confidence_tasks.metrics.functional.checks import Floats


def aggregation_name(metric: str) -> str:
    """Return the name that a metric's aggregation is registered under."""
    return f"vlm_confidence_{metric}"


def metric_entry(metric: NamedMetric) -> dict[str, Any]:
    """Return the metric as an entry of a YAML's `metric_list`."""
    return {
        "metric": metric.name,
        "aggregation": aggregation_name(metric.name),
        "higher_is_better": metric.higher_is_better,
    }


def is_registered(metric: str, aggregation: Any) -> bool:
    """Whether a metric's aggregation is ours, and not one that a YAML gives in its place."""
    return registry.AGGREGATION_REGISTRY.get(aggregation_name(metric)) is aggregation


def _outside(name: str, values: Sequence[Any]) -> float:
    """Stand in for an aggregation, which a perturbed task replaces by one of its own answers.

    Raises:
        TaskError: Always.
    """
    raise TaskError(f"metric {name} is computed by perturbed tasks alone: see docs/architecture.md")


def register_metrics(metrics: Iterable[NamedMetric]) -> None:
    """Register metrics and their aggregations by name; repeated calls change nothing.

    A metric of the harness with the same name (`f1`) is not replaced; perturbed tasks use
    ours through the aggregation's name.
    """
    # Registers the harness's own metrics, which must come first.
    importlib.import_module("lmms_eval.api.metrics")
    for metric in metrics:
        name = aggregation_name(metric.name)
        if name in registry.AGGREGATION_REGISTRY:
            continue
        registry.register_aggregation(name)(partial(_outside, metric.name))
        if metric.name not in registry.METRIC_REGISTRY:
            registry.register_metric(
                metric=metric.name,
                higher_is_better=metric.higher_is_better,
                aggregation=name,
            )(partial(_outside, metric.name))


@dataclass(frozen=True)
class DocumentValues:
    """What the harness is handed of each document of a metric.

    Attributes:
        count: How many of the document's answers count, [documents].
        score: Of a mean: the document's own mean, scaled so that its weight is that of every
            other document; None for other metrics.
    """

    count: Floats
    score: Floats | None

    @classmethod
    def of(cls, metric: NamedMetric, answers: Answers) -> DocumentValues:
        """Make the values of the documents that a table was made of, in their order.

        The harness takes its standard errors from the scores by formulas in which all weigh the
        same. With R = sum n_i s_i / sum n_i, the mean over all answers, a score is
        R + n_i (s_i - R) / (mean of n): these have the mean R, and the standard error of R as a
        ratio of two sums over documents. Of documents of equal weight it is s_i.

        Source: Cochran 1977, section 2.11.
        """
        view, place = metric.view(answers), answers.documents.position
        count, score = np.zeros(place.size), None
        if not isinstance(metric.statistic, Mean):
            shown = metric.statistic.counts(view)
            count[place] = np.bincount(view.document[shown], minlength=place.size)
            return cls(count, None)
        sums = metric.statistic.sums(view)
        if sums is None:
            return cls(count, None)
        own = sums.totals[0] / sums.count
        if np.ptp(sums.count) > 0:
            mean = math.fsum(sums.totals[0]) / sums.count.sum()
            own = mean + sums.count / sums.count.mean() * (own - mean)
        score = np.full(place.size, np.nan)
        count[place[sums.document]], score[place[sums.document]] = sums.count, own
        return cls(count, score)

    def at(self, place: int, image_id: str) -> dict[str, Any] | None:
        """Return a document's value; None if none of its answers counts."""
        if not self.count[place]:
            return None
        value = {} if self.score is None else {"score": float(self.score[place])}
        return {**value, "n": int(self.count[place]), "image_id": image_id}
