"""What a task aggregates: its `metric_list`, and the metrics beside the core ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.harness.metric_registration import metric_entry
from vlm_confidence_tasks.metrics import NamedMetric, current_names
from vlm_confidence_tasks.metrics.catalogue.metric import DOCUMENTS

# "all": tasks without a `metric_list` aggregate all metrics.
METRICS = "VLM_CONFIDENCE_METRICS"


def more_metrics(
    named: Sequence[str] | str | None, known: Mapping[str, NamedMetric]
) -> frozenset[str]:
    """Return the metrics that YAML or environment name beside the core ones.

    Raises:
        TaskError: A name is not one of a metric of the task.
    """
    everywhere = os.environ.get(METRICS)
    if everywhere not in (None, "", "all"):
        raise TaskError(f"{METRICS} is {everywhere!r}, expected all")
    if "all" in (everywhere, named):
        return frozenset(known)
    current = current_names(named or (), known)
    for name in current:
        _check(name, known)
    return frozenset(current)


def _check(name: str, known: Mapping[str, NamedMetric]) -> None:
    if name not in known:
        raise TaskError(f"unknown metric {name!r}; known: {', '.join(known)}")


def metric_list(
    listed: Sequence[Mapping[str, Any]] | None,
    known: Mapping[str, NamedMetric],
    more: frozenset[str],
) -> list[dict[str, Any]]:
    """Complete the metrics that the YAML lists, or list the core metrics and some more.

    Raises:
        TaskError: An entry names no metric of the task, or changes what it is.
    """
    if listed is None:
        return [metric_entry(m) for m in known.values() if m.is_core or m.name in more]
    if not listed:
        raise TaskError("metric_list is empty: leave it out to get the core metrics")
    return [_complete(entry, known) for entry in listed]


def check_clean(listed: Sequence[Mapping[str, Any]], known: Mapping[str, NamedMetric]) -> None:
    """Check that a task without perturbations lists no metric of answers that it does not have.

    Raises:
        TaskError: It lists one.
    """
    names = (str(entry["metric"]) for entry in listed)
    lacking = [name for name in names if known[name].selection.side not in DOCUMENTS]
    if lacking:
        raise TaskError(
            f"perturbations is empty, and without any there is no {', '.join(lacking)}: add "
            "perturbations, or leave metric_list out"
        )


def _complete(entry: object, known: Mapping[str, NamedMetric]) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise TaskError(f"metric_list holds {entry!r}, expected metric: NAME")
    (name,) = current_names([str(entry.get("metric"))], known)
    _check(name, known)
    complete = metric_entry(known[name])
    if unknown := sorted(map(str, set(entry) - set(complete))):
        raise TaskError(
            f"metric {name!r} has unknown key {unknown[0]!r}; an entry of metric_list has "
            f"{', '.join(complete)}"
        )
    aggregation = entry.get("aggregation", complete["aggregation"])
    if aggregation != complete["aggregation"] and not callable(aggregation):
        raise TaskError(
            f"metric {name!r} has aggregation {aggregation!r}: leave it out, since what a "
            "metric extracts from a document is no plain number"
        )
    better = complete["higher_is_better"]
    given = entry.get("higher_is_better", better)
    if not isinstance(given, bool | None) or better not in (None, given):
        raise TaskError(
            f"metric {name!r} has higher_is_better {given!r}, expected "
            f"{'true or false' if better is None else better}: leave it out"
        )
    return complete | dict(entry) | {"metric": name}
