"""What a figure shows of one task: bins, curves and histograms, as plain numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_confidence_tasks.metrics import (
    Answers,
    corp_reliability,
    rate_interval,
    reliability_curve,
    risk_coverage_curve,
    threshold_defense,
)
from vlm_confidence_tasks.metrics.catalogue.flips import flip
from vlm_confidence_tasks.metrics.statistics.calibration_errors import confidence, correct
from vlm_confidence_tasks.metrics.statistics.cross_fit import SCALED
from vlm_confidence_tasks.metrics.statistics.statistic import rows_of
from vlm_confidence_tasks.metrics.statistics.thresholds import clean_entropy, entropy

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Curve = dict[str, list[float]]
# A curve of more points than this looks the same and only makes the file larger.
MOST_POINTS = 200
MARGIN_BINS = 24


def reliability_bins(answers: Answers, with_intervals: bool) -> list[dict[str, Any]]:
    """Return the filled bins of a view's reliability diagram.

    Each has low, high, count, confidence and accuracy, and the ends of the accuracy's
    interval over images if these are wanted and the bin has at least five images.
    """
    rows = rows_of((answers,), (confidence, correct))
    if rows is None:
        return []
    sure, right = rows.columns
    return _bins(sure, right, rows.image, with_intervals)


def corp(answers: Answers) -> Curve | None:
    """Return the confidences of a view and how often answers are right there, by CORP."""
    rows = rows_of((answers,), (confidence, correct))
    if rows is None:
        return None
    found = corp_reliability(*rows.columns)
    return _thin(confidence=found.confidence, recalibrated=found.recalibrated)


def scaled_bins(answers: Answers, with_intervals: bool) -> dict[str, list[dict[str, Any]]] | None:
    """Return the same of clean and of perturbed answers, scaled by the clean temperature."""
    found = {}
    for side, view in (("clean", answers.clean), ("perturbed", answers.perturbed)):
        fit = view.once(SCALED)
        if fit is None or fit.table is None:
            return None
        sure, right = (fit.table.column(name) for name in ("confidence", "correct"))
        found[side] = _bins(sure, right, fit.image[fit.table.owner], with_intervals)
    return found


def _bins(
    confidence: Floats, correct: Floats, images: Ints, with_intervals: bool
) -> list[dict[str, Any]]:
    curve = reliability_curve(confidence, correct)
    fields = ("low", "high", "count", "confidence", "accuracy")
    columns = [getattr(curve, field).tolist() for field in fields]
    bins = [dict(zip(fields, cells, strict=True)) for cells in zip(*columns, strict=True)]
    if with_intervals:
        _add_intervals(bins, confidence, correct, images)
    return bins


def _add_intervals(
    bins: list[dict[str, Any]], confidence: Floats, correct: Floats, images: Ints
) -> None:
    # Bins rise with confidence, so that their counts alone say who is in which.
    order = np.argsort(confidence, kind="stable")
    ends = np.cumsum([one["count"] for one in bins])
    for one, inside in zip(bins, np.split(order, ends[:-1]), strict=True):
        found = rate_interval(correct[inside], np.ones(inside.size), images[inside])
        if found is not None:
            one.update(accuracy_low=found.low, accuracy_high=found.high)


def risk_coverage(answers: Answers) -> Curve | None:
    """Return coverage and risk of a view, from the most confident answers on."""
    rows = rows_of((answers,), (confidence, correct))
    if rows is None:
        return None
    curve = risk_coverage_curve(*rows.columns)
    return _thin(coverage=curve.coverage, risk=curve.risk)


def defense_roc(answers: Answers) -> Curve | None:
    """Return the shares of clean and perturbed images over every entropy threshold.

    `at_threshold` holds these shares over the 95th percentile of clean entropies. Counts the
    entropies that the metrics `defense_*` count.
    """
    rows = rows_of((answers.perturbed,), (clean_entropy, entropy))
    if rows is None:
        return None
    clean, perturbed = (np.sort(column) for column in rows.columns)
    cuts = np.unique(np.concatenate([clean, perturbed]))[::-1]
    curve = _thin(clean=_share_above(clean, cuts), perturbed=_share_above(perturbed, cuts))
    defense = threshold_defense(clean, perturbed)
    return curve | {"at_threshold": [defense.reject_clean, defense.reject]}


def _share_above(values: Floats, cuts: Floats) -> Floats:
    above = 1.0 - np.searchsorted(values, cuts, side="right") / values.size
    return np.concatenate([[0.0], above, [1.0]])


def margins(answers: Answers) -> Curve | None:
    """Return histograms of the clean margin, for answers that flipped and that did not."""
    rows = rows_of((answers.perturbed,), (_clean_margin, flip))
    if rows is None:
        return None
    margin, flipped = rows.columns[0], rows.columns[1] == 1
    edges = np.linspace(0.0, max(float(margin.max()), 1e-6), MARGIN_BINS + 1)
    counts = [np.histogram(margin[side], edges)[0] for side in (flipped, ~flipped)]
    return {"edges": edges.tolist(), "flipped": counts[0].tolist(), "unflipped": counts[1].tolist()}


def _clean_margin(answers: Answers) -> Floats:
    return answers.counterpart.margin


def _thin(**columns: Floats) -> Curve:
    size = len(next(iter(columns.values())))
    picked = np.unique(np.linspace(0, size - 1, MOST_POINTS).round().astype(int))
    return {name: column[picked].tolist() for name, column in columns.items()}
