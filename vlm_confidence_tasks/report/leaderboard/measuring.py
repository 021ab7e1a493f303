"""Every metric of a task with its interval, from the documents of a samples file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_confidence_tasks.metrics import (
    Document,
    Interval,
    Metric,
    aurc,
    auroc,
    bootstrap_ece_interval,
    bootstrap_interval,
    bootstrap_mean_interval,
    bootstrap_sums_interval,
    cohens_d,
    drift_ratio,
    expected_calibration_error,
    families_of,
    maximum_calibration_error,
    metrics_with,
    threshold_defense,
)

Kept = Sequence[Mapping[str, Any]]
Floats = NDArray[np.float64]

# A p-value and the error of a perfect predictor estimate nothing that has an interval.
WITHOUT_INTERVAL = frozenset({"p", "floor"})
CONFUSION = ("tp", "fp", "fn")
CALIBRATION: dict[str, Callable[[Floats, Floats], float | None]] = {
    "ace": partial(expected_calibration_error, binning="mass"),
    "mce": maximum_calibration_error,
    "auroc": auroc,
    "aurc": aurc,
}


@dataclass(frozen=True)
class Number:
    """A metric's value and its 95% interval, None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Sample:
    """What a metric kept of the documents that it applies to.

    Attributes:
        kept: What `Metric.value` gave.
        clusters: The image of each.
        paired: Whether each is of the second of two runs; None for a single run.
    """

    kept: Kept
    clusters: Sequence[str]
    paired: Sequence[bool] | None = None


def measure(documents: Sequence[Document], draws: int) -> dict[str, Number]:
    """Compute every metric that can be computed, and its interval from `draws` draws."""
    numbers = {}
    for name, metric in metrics_with(families_of(documents)).items():
        sample = keep(metric, documents)
        value = metric.aggregate([dict(kept) for kept in sample.kept])
        if value is not None:
            found = interval(metric, sample, draws)
            low, high = (found.low, found.high) if found else (None, None)
            numbers[name] = Number(value, low, high)
    return numbers


def keep(metric: Metric, documents: Sequence[Document]) -> Sample:
    """Return what a metric keeps of each document that it applies to."""
    values = [(metric.value(document), document.image_id) for document in documents]
    held = [(value, image) for value, image in values if value is not None]
    return Sample([value for value, _ in held], [image for _, image in held])


def interval(metric: Metric, sample: Sample, draws: int) -> Interval | None:
    """Return a metric's interval over images, or that of its difference in two runs.

    One image says nothing of how much images differ: then there is none.
    """
    if _kind(metric) in WITHOUT_INTERVAL or len(set(sample.clusters)) < 2:
        return None
    options: dict[str, Any] = {"paired": sample.paired, "draws": draws}
    if "score" in sample.kept[0]:
        score, n = (_column(sample.kept, key) for key in ("score", "n"))
        return bootstrap_mean_interval(score, sample.clusters, weights=n, **options)
    if set(CONFUSION) <= sample.kept[0].keys():
        columns = np.column_stack([_column(sample.kept, key) for key in CONFUSION])
        measured = partial(_of_counts, metric)
        return bootstrap_sums_interval(measured, columns, sample.clusters, **options)
    if "control" in sample.kept[0]:
        return _against_control(metric, sample, options)
    if metric.name.startswith("defense_"):
        return _defense(metric, sample, draws)
    if _kind(metric) in {"ece", *CALIBRATION}:
        return _calibration(metric, sample, draws)
    values = [dict(kept) for kept in sample.kept]
    return bootstrap_interval(
        lambda rows: metric.aggregate([values[row] for row in rows]), sample.clusters, **options
    )


def _kind(metric: Metric) -> str:
    """Return what is measured, whichever answers it is measured on: "verbal_ece" is "ece"."""
    return metric.name.removesuffix("_clean").rsplit("_", 1)[-1]


def _column(kept: Kept, key: str) -> Floats:
    return np.array([value[key] for value in kept], dtype=np.float64)


def _of_counts(metric: Metric, sums: Floats) -> float | None:
    return metric.aggregate([dict(zip(CONFUSION, sums.tolist(), strict=True))])


def _laid_out(sample: Sample, *keys: str) -> tuple[Floats, NDArray[np.intp]]:
    """Lay the documents' lists out, one after the other; and the document of each number."""
    lists = [[number for key in keys for number in value[key]] for value in sample.kept]
    owner = np.repeat(np.arange(len(lists)), [len(numbers) for numbers in lists])
    return np.array([number for numbers in lists for number in numbers], np.float64), owner


def _shared(sample: Sample, owner: NDArray[np.intp], draws: int) -> dict[str, Any]:
    paired = None if sample.paired is None else np.asarray(sample.paired)[owner]
    return {"clusters": np.asarray(sample.clusters)[owner], "paired": paired, "draws": draws}


def _calibration(metric: Metric, sample: Sample, draws: int) -> Interval | None:
    confidence, owner = _laid_out(sample, "confidence")
    correct, _ = _laid_out(sample, "correct")
    shared = _shared(sample, owner, draws)
    if _kind(metric) == "ece":
        return bootstrap_ece_interval(confidence, correct, **shared)
    measured = CALIBRATION[_kind(metric)]
    return bootstrap_interval(lambda rows: measured(confidence[rows], correct[rows]), **shared)


def _against_control(metric: Metric, sample: Sample, options: dict[str, Any]) -> Interval | None:
    moved, count, control = (_column(sample.kept, k) for k in ("moved", "instances", "control"))

    def measured(rows: NDArray[np.intp]) -> float | None:
        if metric.name.startswith("drift_ratio_"):
            return drift_ratio(moved[rows], count[rows], control[rows])
        return cohens_d(moved[rows], control[rows])

    return bootstrap_interval(measured, sample.clusters, **options)


def _defense(metric: Metric, sample: Sample, draws: int) -> Interval | None:
    entropy, owner = _laid_out(sample, "clean", "perturbed")
    shown = [[0] * len(v["clean"]) + [1] * len(v["perturbed"]) for v in sample.kept]
    side = np.array([flag for flags in shown for flag in flags], dtype=bool)
    field = attrgetter(metric.name.removeprefix("defense_"))

    def measured(rows: NDArray[np.intp]) -> float | None:
        entropies, perturbed = entropy[rows], side[rows]
        return float(field(threshold_defense(entropies[~perturbed], entropies[perturbed])))

    return bootstrap_interval(measured, **_shared(sample, owner, draws))
