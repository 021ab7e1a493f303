"""A bad argument raises where it is given, and the message names it."""

from __future__ import annotations

import numpy as np
import pytest

from vlm_confidence_tasks import metrics
from vlm_confidence_tasks.metrics.functional import (
    conformal,
    error_detection,
    recalibration,
    selective,
)
from vlm_confidence_tasks.metrics.inference import clusters, rare_errors

NAN = float("nan")
SIX = list("abcdef")
# Functions of confidences and correctness.
OF_ANSWERS = [
    metrics.expected_calibration_error,
    metrics.maximum_calibration_error,
    metrics.smooth_calibration_error,
    metrics.reliability_curve,
    metrics.risk_coverage_curve,
    metrics.aurc,
    metrics.auroc,
]


def refused(call, said, *arguments, **named):
    with pytest.raises(ValueError, match=said):
        call(*arguments, **named)


@pytest.mark.parametrize("call", OF_ANSWERS)
def test_answers(call):
    refused(call, "nan at index 1", [0.5, NAN], [1, 0])
    refused(call, r"shape \(0,\)", [], [])
    refused(call, r"shape \(1, 1\)", [[0.5]], [[1]])
    refused(call, "2, '.*': 1", [0.5, 0.5], [1])
    refused(call, "got 2.0", [0.5], [2])
    if call is not metrics.auroc:  # a score may be any number
        refused(call, "1.5", [1.5], [1])
        refused(call, "-0.25", [-0.25], [1])
    if call in OF_ANSWERS[:2] + OF_ANSWERS[3:4]:
        refused(call, "must be 'uniform' or 'quantile', got 'mass'", [0.5], [1], strategy="mass")
        refused(call, "n_bins must be at least 1, got 0", [0.5], [1], n_bins=0)


@pytest.mark.parametrize(
    ("call", "said", "arguments"),
    [
        (conformal.conformal_threshold, "shape", ([], [])),
        (conformal.conformal_threshold, "finite", ([0.1, NAN], [0, 1])),
        (conformal.conformal_threshold, "lengths", ([0.1], [0, 1])),
        (conformal.conformal_threshold, "coverage", ([0.1], [0], 1.0)),
        (selective.acceptance_threshold, "coverage", ([0.5], 0.0)),
        (selective.acceptance_threshold, "coverage", ([0.5], 1.5)),
        (recalibration.fit_temperature, "shape", ([], [])),
        (recalibration.fit_temperature, "shape", ([0.5, 0.5], [0, 1])),
        (recalibration.fit_temperature, r"\[0, 1\]", ([[0.5, 1.5]], [0])),
        (recalibration.fit_temperature, "at least one", ([[NAN, NAN]], [0])),
        (recalibration.fit_temperature, "gold", ([[0.5, NAN]], [1])),
        (recalibration.fit_temperature, "gold", ([[0.5, 0.5]], [2])),
        (recalibration.fit_temperature, "lengths", ([[0.5, 0.5]], [0, 1])),
        (recalibration.apply_temperature, "positive", ([[0.5, 0.5]], 0.0)),
        (error_detection.best_pair, "finite", ([[1.0, NAN], [1.0, 2.0]], [0, 1])),
        (error_detection.best_pair, "lengths", ([[1.0, 2.0]], [0, 1])),
        (error_detection.best_pair, "0 and 1", ([[1.0, 2.0], [1.0, 3.0]], [0, 2])),
        (metrics.threshold_defense, "nan", ([NAN], [1.0])),
        (metrics.threshold_defense, "perturbed .* shape", ([1.0], [])),
        (metrics.threshold_defense, "got 101", ([1.0], [1.0], 101)),
        (metrics.pearson, "different lengths", ([1.0, 2.0], [1.0])),
        (metrics.spearman, "different lengths", ([1.0, 2.0], [1.0])),
        (metrics.spearman, "nan", ([1.0, 2.0], [1.0, NAN])),
        (metrics.cosine_drift, "lengths", ([1.0], [1.0, 2.0])),
        (metrics.l2_distance, "lengths", ([1.0], [1.0, 2.0])),
        (metrics.cosine_drift, "shape", ([], [])),
        (metrics.l2_distance, "nan", ([NAN], [1.0])),
        (metrics.control_drift, "others must be finite numbers", ([1, 0], [[1, 0, 0]])),
        (metrics.cohens_dz, "different lengths", ([1, 2], [1])),
        (metrics.visual_entropy, "at least one answer", ([[1, 2], [0, 0]],)),
        (metrics.band_powers, "image must be finite numbers", ([1.0],)),
        (metrics.band_powers, "image must be finite numbers", ([[NAN]],)),
        (metrics.band_powers, "image must be finite numbers", (np.zeros((0, 2, 3)),)),
        (metrics.sign_flip_p, "differences must be finite .* got inf", ([np.inf], ["a"])),
        (metrics.wilcoxon_p, "differences must be finite .* got inf", ([np.inf], ["a"])),
        (metrics.sign_flip_p, "'differences': 2, 'clusters': 1", ([1.0, 2.0], ["a"])),
        (metrics.wilcoxon_p, "'differences': 2, 'clusters': 1", ([1.0, 2.0], ["a"])),
        (metrics.holm, r"p must be finite numbers in \[0.0, 1.0\], got 1.5", ([0.5, 1.5],)),
        (clusters.numbered, r"clusters must be a non-empty vector, got shape \(0,\)", ([],)),
        (clusters.numbered, r"got shape \(1, 1\)", ([["a"]],)),
        (clusters.sides, "'paired': 1, 'rows': 2", ([1], 2)),
        (clusters.sides, "paired must hold 0 and 1 only, got 2.0", ([2, 0], 2)),
        (clusters.table, "hits has 1 rows, clusters 2", ("hits", [1.0], 2)),
        (clusters.table, r"hits must be \[N\] or \[N, C\]", ("hits", [[[1.0]]], 1)),
        (clusters.table, "hits must be finite numbers .* got nan", ("hits", [NAN], 1)),
    ],
)
def test_columns(call, said, arguments):
    refused(call, said, *arguments)


INTERVALS = {
    "mean": (metrics.mean_interval, {"totals": [1.0] * 6, "counts": [1] * 6, "clusters": SIX}),
    "rate": (metrics.rate_interval, {"hits": [1.0] * 6, "counts": [1] * 6, "clusters": SIX}),
    "jackknife": (metrics.jackknife_interval, {"metric": lambda rows: 0.0, "clusters": SIX}),
    "overconfidence": (
        rare_errors.overconfidence_interval,
        {"confidences": [0.9] * 6, "hits": [1] * 6, "counts": [1] * 6, "clusters": SIX},
    ),
    "error": (
        metrics.calibration_error_interval,
        {"confidence": [0.5] * 6, "correct": [1] * 6, "clusters": SIX, "estimate": 0.5},
    ),
    "debiased": (
        metrics.debiased_calibration_error,
        {"confidence": [0.5] * 6, "correct": [1] * 6, "clusters": SIX},
    ),
    "test": (
        metrics.calibration_test,
        {"confidence": [0.5] * 6, "correct": [1] * 6, "documents": range(6), "clusters": SIX},
    ),
}


@pytest.mark.parametrize(
    ("name", "said", "change"),
    [
        ("mean", "draws must be at least 1, got 0", {"draws": 0}),
        ("mean", "totals must be finite numbers", {"totals": [NAN] * 6}),
        ("mean", "totals has 1 rows, clusters 6", {"totals": [1.0]}),
        ("mean", "counts has 1 rows, clusters 6", {"counts": [1.0]}),
        ("mean", "counts must not be negative, nor 0", {"counts": [1, 1, -1, 1, 1, 1]}),
        ("mean", "counts must not be negative, nor 0", {"counts": [1, 1, 0, 1, 1, 1]}),
        ("mean", "'paired': 1, 'rows': 6", {"paired": [1]}),
        ("rate", r"hits must be in \[0, counts\]", {"hits": [2.0] * 6}),
        ("rate", r"hits must be in \[0, counts\]", {"hits": [-1.0] * 6}),
        ("rate", "hits has 1 rows, clusters 6", {"hits": [0.0]}),
        ("rate", "counts must be finite numbers", {"counts": [np.inf] * 6}),
        ("rate", "'paired': 1, 'rows': 6", {"paired": [1]}),
        ("jackknife", "'paired': 1, 'rows': 6", {"paired": [1]}),
        ("overconfidence", r"must be in \[0, counts\]", {"confidences": [1.5] * 6}),
        ("overconfidence", r"must be in \[0, counts\]", {"hits": [-1] * 6}),
        ("overconfidence", "counts has 5 rows, clusters 6", {"counts": [1] * 5}),
        ("overconfidence", "hits", {"hits": [NAN] * 6}),
        ("test", "'documents': 1", {"documents": [0]}),
        ("test", "draws must be at least 1, got 0", {"draws": 0}),
        ("test", "n_bins must be at least 1, got 0", {"n_bins": 0}),
        *(
            (name, said, change)
            for name in ("error", "debiased", "test")
            for said, change in (
                ("nan at index 0", {"confidence": [NAN] * 6}),
                ("1.5", {"confidence": [1.5] * 6}),
                ("correct must hold 0 and 1 only, got 2.0", {"correct": [2] * 6}),
                ("'confidence': 6, 'correct': 1", {"correct": [1]}),
                ("different lengths.*'clusters': 1", {"clusters": [0]}),
            )
        ),
        *((name, r"shape \(0,\)", {"clusters": []}) for name in INTERVALS),
    ],
)
def test_intervals(name, said, change):
    call, arguments = INTERVALS[name]
    refused(call, said, **{**arguments, **change})
