"""Registers metrics with the harness."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import partial
from typing import Any

from lmms_eval.api import registry

from vlm_confidence_tasks.metrics import Metric, linearised


def aggregation_name(metric: Metric) -> str:
    """Return the name that a metric's aggregation is registered under."""
    return f"vlm_confidence_{metric.name}"


def metric_entry(metric: Metric) -> dict[str, Any]:
    """Return the metric as an entry of a YAML's `metric_list`."""
    return {
        "metric": metric.name,
        "aggregation": aggregation_name(metric),
        "higher_is_better": metric.higher_is_better,
    }


def _aggregate(metric: Metric, values: list[Any]) -> float | None:
    """Reduce the values; of a mean, leave those in the list of which it is the plain mean.

    The harness takes its standard errors from the list that it has just had aggregated, by
    formulas in which every score weighs the same. Of the scores themselves they would be the
    errors of another number than the weighted mean that stands beside them.
    """
    number = metric.reduce(values)
    if number is not None and "score" in values[0]:
        values[:] = linearised(values)
    return number


def register_metrics(metrics: Iterable[Metric]) -> None:
    """Register metrics and their aggregations by name; repeated calls change nothing.

    A metric of the harness with the same name (`f1`) is not replaced; perturbed tasks use
    ours through the aggregation's name.
    """
    # Registers the harness's own metrics, which must come first.
    importlib.import_module("lmms_eval.api.metrics")
    for metric in metrics:
        if aggregation_name(metric) in registry.AGGREGATION_REGISTRY:
            continue
        registry.register_aggregation(aggregation_name(metric))(partial(_aggregate, metric))
        if metric.name not in registry.METRIC_REGISTRY:
            registry.register_metric(
                metric=metric.name,
                higher_is_better=metric.higher_is_better,
                aggregation=aggregation_name(metric),
            )(metric.extract)
