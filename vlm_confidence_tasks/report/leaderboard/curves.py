"""What a figure shows of one task: bins, curves and histograms, as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_confidence_tasks.metrics import (
    Sample,
    calibrated,
    entropies,
    rate_interval,
    reliability_curve,
    risk_coverage_curve,
    scaled_answers,
    threshold_defense,
)
from vlm_confidence_tasks.report.inputs.samples import Answers, SamplesFile

Curve = dict[str, list[float]]
# A curve of more points than this looks the same and only makes the file larger.
MOST_POINTS = 200
MARGIN_BINS = 24


def reliability_bins(answers: Answers, with_intervals: bool) -> list[dict[str, Any]]:
    """Return the filled bins of a reliability diagram.

    Each has low, high, count, confidence and accuracy, and the ends of the accuracy's
    interval over images if these are wanted and the bin has at least five images.
    """
    confidence, correct, images = _calibrated(answers)
    if not confidence:
        return []
    return _bins(np.array(confidence), np.array(correct), images, with_intervals)


def scaled_bins(
    samples: Sequence[Sample], with_intervals: bool
) -> dict[str, list[dict[str, Any]]] | None:
    """Return the same of clean and of perturbed answers, scaled by the clean temperature."""
    found = {
        "clean": scaled_answers(samples, "clean"),
        "perturbed": scaled_answers(samples, "perturbed"),
    }
    if None in found.values():
        return None
    return {side: _bins(*answers, with_intervals) for side, answers in found.items() if answers}


def _bins(
    confidence: NDArray[np.float64],
    correct: NDArray[Any],
    images: list[str],
    with_intervals: bool,
) -> list[dict[str, Any]]:
    curve = reliability_curve(confidence, correct)
    fields = ("low", "high", "count", "confidence", "accuracy")
    columns = [getattr(curve, field).tolist() for field in fields]
    bins = [dict(zip(fields, cells, strict=True)) for cells in zip(*columns, strict=True)]
    if with_intervals:
        _add_intervals(bins, confidence, correct, images)
    return bins


def _add_intervals(
    bins: list[dict[str, Any]],
    confidence: NDArray[np.float64],
    correct: NDArray[Any],
    images: list[str],
) -> None:
    _, image = np.unique(images, return_inverse=True)
    # Bins rise with confidence, so that their counts alone say who is in which.
    order = np.argsort(confidence, kind="stable")
    ends = np.cumsum([one["count"] for one in bins])
    for one, inside in zip(bins, np.split(order, ends[:-1]), strict=True):
        found = rate_interval(correct[inside], np.ones(inside.size), image[inside])
        if found is not None:
            one.update(accuracy_low=found.low, accuracy_high=found.high)


def risk_coverage(answers: Answers) -> Curve | None:
    """Return coverage and risk, from the most confident answers on."""
    confidence, correct, _ = _calibrated(answers)
    if not confidence:
        return None
    curve = risk_coverage_curve(confidence, correct)
    return _thin(coverage=curve.coverage, risk=curve.risk)


def defense_roc(rows: SamplesFile) -> Curve | None:
    """Return the shares of clean and perturbed images over every entropy threshold.

    `at_threshold` holds these shares over the 95th percentile of clean entropies. Counts the
    entropies that the metrics `defense_*` count.
    """
    found = [value for sample in rows.samples if (value := entropies(sample)) is not None]
    if not found:
        return None
    clean, perturbed = (
        np.sort(np.concatenate([value[side] for value in found])) for side in ("clean", "perturbed")
    )
    cuts = np.unique(np.concatenate([clean, perturbed]))[::-1]
    curve = _thin(clean=_share_above(clean, cuts), perturbed=_share_above(perturbed, cuts))
    defense = threshold_defense(clean, perturbed)
    return curve | {"at_threshold": [defense.reject_clean, defense.reject]}


def _share_above(values: NDArray[np.float64], cuts: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 1.0 - np.searchsorted(values, cuts, side="right") / values.size
    return np.concatenate([[0.0], above, [1.0]])


def margins(rows: SamplesFile) -> Curve | None:
    """Return histograms of the clean margin, for answers that flipped and that did not."""
    pairs = [
        (sample.clean.margin, sample.clean.answer != readout.answer)
        for sample, readouts in rows.perturbed
        if sample.labels and sample.clean.margin is not None
        for readout in readouts
    ]
    if not pairs:
        return None
    margin, flipped = np.array([m for m, _ in pairs]), np.array([f for _, f in pairs])
    edges = np.linspace(0.0, max(float(margin.max()), 1e-6), MARGIN_BINS + 1)
    counts = [np.histogram(margin[side], edges)[0] for side in (flipped, ~flipped)]
    return {"edges": edges.tolist(), "flipped": counts[0].tolist(), "unflipped": counts[1].tolist()}


def _calibrated(answers: Answers) -> tuple[list[float], list[bool], list[str]]:
    """Return confidence, correctness and image of the answers that have all."""
    found = [
        (*pair, sample.image_id)
        for sample, readouts in answers
        for pair in calibrated(sample, readouts)
    ]
    confidence, correct, images = zip(*found, strict=True) if found else ((), (), ())
    return list(confidence), list(correct), list(images)


def _thin(**columns: NDArray[np.float64]) -> Curve:
    size = len(next(iter(columns.values())))
    picked = np.unique(np.linspace(0, size - 1, MOST_POINTS).round().astype(int))
    return {name: column[picked].tolist() for name, column in columns.items()}
