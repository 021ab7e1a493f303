"""All metrics of a task computed from its samples, with intervals or without."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from vlm_confidence_tasks.metrics.functional.bootstrap import Interval
from vlm_confidence_tasks.metrics.intervals import Columns
from vlm_confidence_tasks.metrics.metric import Extract, Metric
from vlm_confidence_tasks.metrics.registry import metrics_for
from vlm_confidence_tasks.metrics.sample import Sample


@dataclass(frozen=True)
class Number:
    """A metric's value and its 95% interval, None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


def families_of(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return the families that were shown, controls too, in order of appearance."""
    return tuple(dict.fromkeys(name for sample in samples for name in sample.families))


def task_metrics(
    samples: Sequence[Sample], names: Collection[str] | None = None
) -> dict[str, float]:
    """Compute every metric that can be computed, or those of `names`; others are absent.

    Raises:
        ValueError: A number that a metric uses is NaN, infinite or out of range.
    """
    metrics = metrics_for(families_of(samples)).values()
    chosen = [metric for metric in metrics if names is None or metric.name in names]
    numbers = ((m.name, m.reduce(columns.values)) for m, columns in _columns(chosen, samples))
    return {name: number for name, number in numbers if number is not None}


def measure(samples: Sequence[Sample], draws: int) -> dict[str, Number]:
    """Compute every metric that can be computed, and its interval from `draws` draws.

    Raises:
        ValueError: As `task_metrics`.
    """
    numbers = {}
    for metric, columns in _columns(metrics_for(families_of(samples)).values(), samples):
        value = metric.reduce(columns.values)
        if value is not None:
            found = interval(metric, columns, draws)
            low, high = (found.low, found.high) if found else (None, None)
            numbers[metric.name] = Number(value, low, high)
    return numbers


def extract_columns(metric: Metric, samples: Sequence[Sample]) -> Columns:
    """Extract a metric's value from each sample that it applies to."""
    values = [(metric.extract(sample), sample.image_id) for sample in samples]
    found = [(value, image) for value, image in values if value is not None]
    return Columns([value for value, _ in found], [image for _, image in found])


def interval(metric: Metric, columns: Columns, draws: int) -> Interval | None:
    """Return a metric's interval over images, or that of its difference in two runs.

    One image says nothing of how much images differ: then there is none.
    """
    if metric.interval is None or len(set(columns.clusters)) < 2:
        return None
    return metric.interval(columns, draws)


def _columns(
    metrics: Iterable[Metric], samples: Sequence[Sample]
) -> Iterator[tuple[Metric, Columns]]:
    """Yield each metric with its columns; metrics that share `extract` share these."""
    found: dict[Extract, Columns] = {}
    for metric in metrics:
        if metric.extract not in found:
            found[metric.extract] = extract_columns(metric, samples)
        yield metric, found[metric.extract]
