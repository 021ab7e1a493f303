"""Measures of a task's answers, with intervals.

`functional` holds the measures as functions of arrays; `metrics_for` gives the metrics of a
task, each of which extracts a value from every `Sample` and reduces all values to a number;
`task_metrics` and `measure` compute them. A measure that is undefined on its input is None,
never 0. Needs numpy and scipy alone.
"""

from vlm_confidence_tasks.metrics.extractors.generated_answers import calibrated
from vlm_confidence_tasks.metrics.extractors.representation_shift import (
    CHANNELS,
    energy_change,
    power_change,
    score_change,
)
from vlm_confidence_tasks.metrics.extractors.values import entropies
from vlm_confidence_tasks.metrics.functional.calibration import (
    ReliabilityCurve,
    expected_calibration_error,
    log_probability,
    maximum_calibration_error,
    reliability_curve,
    smooth_calibration_error,
)
from vlm_confidence_tasks.metrics.functional.classification import Confusion, confusion
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
    drift_ratio,
    l2_distance,
)
from vlm_confidence_tasks.metrics.functional.entropy import visual_entropy
from vlm_confidence_tasks.metrics.functional.ranking import (
    RiskCoverageCurve,
    aurc,
    auroc,
    risk_coverage_curve,
)
from vlm_confidence_tasks.metrics.functional.spectra import BANDS, band_powers
from vlm_confidence_tasks.metrics.inference.calibrated import CalibrationTest, calibration_test
from vlm_confidence_tasks.metrics.inference.calibration_error import (
    calibration_error_interval,
    debiased_calibration_error,
)
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.inference.jackknife import jackknife_interval
from vlm_confidence_tasks.metrics.inference.means import mean_interval
from vlm_confidence_tasks.metrics.inference.permutation import holm, sign_flip_p, wilcoxon_p
from vlm_confidence_tasks.metrics.inference.rates import rate_interval
from vlm_confidence_tasks.metrics.intervals import METHODS, Columns
from vlm_confidence_tasks.metrics.measuring import (
    Number,
    extract_columns,
    families_of,
    interval,
    measure,
    task_metrics,
)
from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.reducers import linearised
from vlm_confidence_tasks.metrics.registry import metrics_for
from vlm_confidence_tasks.metrics.sample import Sample
from vlm_confidence_tasks.metrics.trust import scaled_answers, signal_prices

__all__ = [
    "BANDS",
    "CHANNELS",
    "METHODS",
    "CalibrationTest",
    "Columns",
    "Confusion",
    "Interval",
    "Metric",
    "Number",
    "ReliabilityCurve",
    "RiskCoverageCurve",
    "Sample",
    "ThresholdDefense",
    "aurc",
    "auroc",
    "band_powers",
    "calibrated",
    "calibration_error_interval",
    "calibration_test",
    "cohens_d",
    "cohens_dz",
    "confusion",
    "control_drift",
    "cosine_drift",
    "debiased_calibration_error",
    "drift_ratio",
    "energy_change",
    "entropies",
    "expected_calibration_error",
    "extract_columns",
    "families_of",
    "holm",
    "interval",
    "jackknife_interval",
    "l2_distance",
    "linearised",
    "log_probability",
    "maximum_calibration_error",
    "mean_interval",
    "measure",
    "metrics_for",
    "pearson",
    "power_change",
    "rate_interval",
    "reliability_curve",
    "risk_coverage_curve",
    "scaled_answers",
    "score_change",
    "sign_flip_p",
    "signal_prices",
    "smooth_calibration_error",
    "spearman",
    "task_metrics",
    "threshold_defense",
    "visual_entropy",
    "wilcoxon_p",
]
