"""Measures of a task's answers, with intervals.

`Answers` is the table of a task's answers, `metrics_for` gives the metrics of a task, and
`measure` computes them. `functional` holds the measures as functions of arrays, `inference` their
intervals and tests. A measure that is undefined on its input is None, never 0. Needs numpy and
scipy alone.
"""

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.calibration import (
    ReliabilityCurve,
    classwise_calibration_error,
    expected_calibration_error,
    log_probability,
    maximum_calibration_error,
    reliability_curve,
    smooth_calibration_error,
)
from vlm_confidence_tasks.metrics.functional.correlation import (
    pearson,
    spearman,
)
from vlm_confidence_tasks.metrics.functional.defense import ThresholdDefense, threshold_defense
from vlm_confidence_tasks.metrics.functional.drift import (
    cohens_d,
    cohens_dz,
    control_drift,
    cosine_drift,
    l2_distance,
)
from vlm_confidence_tasks.metrics.functional.entropy import visual_entropy
from vlm_confidence_tasks.metrics.functional.ranking import (
    RiskCoverageCurve,
    augrc,
    aurc,
    auroc,
    excess_aurc,
    prediction_rejection_ratio,
    risk_coverage_curve,
)
from vlm_confidence_tasks.metrics.functional.reliability import (
    CorpReliability,
    calibration_intercept,
    calibration_slope,
    corp_reliability,
)
from vlm_confidence_tasks.metrics.functional.spectra import BANDS, band_powers
from vlm_confidence_tasks.metrics.inference.calibrated import CalibrationTest, calibration_test
from vlm_confidence_tasks.metrics.inference.calibration_error import (
    calibration_error_interval,
    debiased_calibration_error,
)
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.inference.jackknife import jackknife_interval
from vlm_confidence_tasks.metrics.inference.means import mean_interval, mean_p
from vlm_confidence_tasks.metrics.inference.permutation import holm, sign_flip_p, wilcoxon_p
from vlm_confidence_tasks.metrics.inference.rates import rate_interval
from vlm_confidence_tasks.metrics.measure import (
    METHODS,
    NamedMetric,
    Number,
    current_names,
    measure,
    measured_in,
    metrics_for,
    values,
)
from vlm_confidence_tasks.metrics.statistics.error_signals import signal_prices
from vlm_confidence_tasks.metrics.statistics.means import Mean, Rate
from vlm_confidence_tasks.types import CHANNELS, Sample

__all__ = [
    "Answers",
    "BANDS",
    "CHANNELS",
    "CalibrationTest",
    "CorpReliability",
    "Interval",
    "METHODS",
    "Mean",
    "NamedMetric",
    "Number",
    "Rate",
    "ReliabilityCurve",
    "RiskCoverageCurve",
    "Sample",
    "ThresholdDefense",
    "augrc",
    "aurc",
    "auroc",
    "band_powers",
    "calibration_error_interval",
    "calibration_intercept",
    "calibration_slope",
    "calibration_test",
    "classwise_calibration_error",
    "cohens_d",
    "cohens_dz",
    "control_drift",
    "corp_reliability",
    "cosine_drift",
    "current_names",
    "debiased_calibration_error",
    "excess_aurc",
    "expected_calibration_error",
    "holm",
    "jackknife_interval",
    "l2_distance",
    "log_probability",
    "maximum_calibration_error",
    "mean_interval",
    "mean_p",
    "measure",
    "measured_in",
    "metrics_for",
    "pearson",
    "prediction_rejection_ratio",
    "rate_interval",
    "reliability_curve",
    "risk_coverage_curve",
    "sign_flip_p",
    "signal_prices",
    "smooth_calibration_error",
    "spearman",
    "threshold_defense",
    "values",
    "visual_entropy",
    "wilcoxon_p",
]
