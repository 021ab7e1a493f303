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
from vlm_confidence_tasks.metrics.functional.bootstrap import (
    Interval,
    bootstrap_ece_interval,
    bootstrap_interval,
    bootstrap_mean_interval,
    bootstrap_sums_interval,
)
from vlm_confidence_tasks.metrics.functional.calibration import (
    ReliabilityCurve,
    calibration_noise_floor,
    expected_calibration_error,
    log_probability,
    maximum_calibration_error,
    reliability_curve,
)
from vlm_confidence_tasks.metrics.functional.classification import Confusion, confusion
from vlm_confidence_tasks.metrics.functional.correlation import (
    bootstrap_pearson_interval,
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
from vlm_confidence_tasks.metrics.functional.entropy import visual_entropy, wilcoxon_p
from vlm_confidence_tasks.metrics.functional.ranking import (
    RiskCoverageCurve,
    aurc,
    auroc,
    risk_coverage_curve,
)
from vlm_confidence_tasks.metrics.functional.spectra import BANDS, band_powers
from vlm_confidence_tasks.metrics.intervals import Columns
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

__all__ = [
    "BANDS",
    "CHANNELS",
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
    "bootstrap_ece_interval",
    "bootstrap_interval",
    "bootstrap_mean_interval",
    "bootstrap_pearson_interval",
    "bootstrap_sums_interval",
    "calibrated",
    "calibration_noise_floor",
    "cohens_d",
    "cohens_dz",
    "confusion",
    "control_drift",
    "cosine_drift",
    "drift_ratio",
    "energy_change",
    "entropies",
    "expected_calibration_error",
    "extract_columns",
    "families_of",
    "interval",
    "l2_distance",
    "linearised",
    "log_probability",
    "maximum_calibration_error",
    "measure",
    "metrics_for",
    "pearson",
    "power_change",
    "reliability_curve",
    "risk_coverage_curve",
    "score_change",
    "spearman",
    "task_metrics",
    "threshold_defense",
    "visual_entropy",
    "wilcoxon_p",
]
