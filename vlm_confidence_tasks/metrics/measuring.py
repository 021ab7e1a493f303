"""All metrics of a task computed from its samples, with intervals or without."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from vlm_confidence_tasks.metrics.extractors import attacks, object_noise
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.intervals import Columns
from vlm_confidence_tasks.metrics.metric import Extract, Metric
from vlm_confidence_tasks.metrics.registry import metrics_for
from vlm_confidence_tasks.metrics.sample import Sample
from vlm_confidence_tasks.types import Readout


@dataclass(frozen=True)
class Number:
    """A metric's value and its 95% interval, None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


def families_of(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return the families that were shown, controls too, in order of appearance."""
    return tuple(dict.fromkeys(name for sample in samples for name in sample.families))


def measured_in(samples: Iterable[Sample]) -> frozenset[str]:
    """Return what the samples hold besides answers, as in `Metric.requires`."""
    found: set[str] = set()
    for sample in samples:
        for readout in (sample.clean, *sample.variants):
            found |= {name for name, has in _PARTS.items() if has(readout)}
        if len(found) == len(_PARTS):
            break
    return frozenset(found)


_PARTS: dict[str, Callable[[Readout], bool]] = {
    "verbal": lambda readout: readout.verbal_text is not None,
    "loglik": lambda readout: readout.option_logprob is not None,
    "representations": lambda readout: readout.inside is not None,
    "attacks": lambda readout: readout.variant.perturbation in attacks.NAMES,
    "object_noise": lambda readout: readout.variant.perturbation == object_noise.NAME,
    "same_question": lambda readout: (
        readout.inside is not None and bool(readout.inside.control_same)
    ),
}


def task_metrics(
    samples: Sequence[Sample], names: Collection[str] | None = None
) -> dict[str, float]:
    """Compute every metric that can be computed, or those of `names`; others are absent.

    Raises:
        ValueError: A number that a metric uses is NaN, infinite or out of range.
    """
    numbers = ((m.name, m.reduce(columns.values)) for m, columns in _columns(samples, names))
    return {name: number for name, number in numbers if number is not None}


def measure(samples: Sequence[Sample], names: Collection[str] | None = None) -> dict[str, Number]:
    """Compute every metric that can be computed, or those of `names`, and their intervals.

    Args:
        samples: The samples.
        names: The metrics; None for all.

    Raises:
        ValueError: As `task_metrics`.
    """
    numbers = {}
    for metric, columns in _columns(samples, names):
        value = metric.reduce(columns.values)
        if value is not None:
            found = interval(metric, columns)
            low, high = (found.low, found.high) if found else (None, None)
            numbers[metric.name] = Number(value, low, high)
    return numbers


def extract_columns(
    metric: Metric, samples: Sequence[Sample], images: Sequence[Hashable] | None = None
) -> Columns:
    """Extract a metric's value from each sample that it applies to.

    Args:
        metric: The metric.
        samples: The samples.
        images: A name or number of each sample's image; its `image_id` if None.
    """
    named = images or [sample.image_id for sample in samples]
    values = zip(map(metric.extract, samples), named, strict=True)
    found = [(value, image) for value, image in values if value is not None]
    return Columns([value for value, _ in found], [image for _, image in found])


def interval(metric: Metric, columns: Columns) -> Interval | None:
    """Return a metric's interval over images, or that of its difference in two runs."""
    if metric.interval is None or not columns.values:
        return None
    return metric.interval(columns)


def _columns(
    samples: Sequence[Sample], names: Collection[str] | None
) -> Iterator[tuple[Metric, Columns]]:
    """Yield each metric with its columns; metrics that share `extract` share these."""
    # Numbered once, since intervals would sort names anew for every metric.
    order = {name: n for n, name in enumerate(sorted({s.image_id for s in samples}))}
    images = [order[sample.image_id] for sample in samples]
    found: dict[Extract, Columns] = {}
    for metric in metrics_for(families_of(samples), measured_in(samples)).values():
        if names is None or metric.name in names:
            if metric.extract not in found:
                found[metric.extract] = extract_columns(metric, samples, images)
            yield metric, found[metric.extract]
