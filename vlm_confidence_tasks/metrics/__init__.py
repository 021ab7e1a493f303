"""Arrays to numbers: calibration, ranking, entropy, flips, defence, intervals.

Pure functions of arrays, and the table of a task's metrics made from them. A measure
that is undefined on its input is None, never 0. Needs numpy and scipy alone.
"""

from vlm_confidence_tasks.metrics._bootstrap import (
    Interval,
    bootstrap_ece_interval,
    bootstrap_interval,
    bootstrap_mean_interval,
    bootstrap_sums_interval,
)
from vlm_confidence_tasks.metrics._calibration import (
    ReliabilityCurve,
    brier_score,
    calibration_noise_floor,
    expected_calibration_error,
    maximum_calibration_error,
    negative_log_likelihood,
    overconfidence,
    reliability_curve,
)
from vlm_confidence_tasks.metrics._classification import (
    Confusion,
    confusion,
    f1_score,
    precision,
    recall,
    yes_ratio,
)
from vlm_confidence_tasks.metrics._defense import ThresholdDefense, threshold_defense
from vlm_confidence_tasks.metrics._entropy import entropy_drop_rate, wilcoxon_p
from vlm_confidence_tasks.metrics._flips import (
    document_flip_rate,
    fn_correction,
    fp_correction,
    instance_flip_rate,
    right_to_wrong,
    visual_entropy,
    wrong_to_right,
)
from vlm_confidence_tasks.metrics._ranking import (
    RiskCoverageCurve,
    aurc,
    auroc,
    risk_coverage_curve,
    spearman,
)
from vlm_confidence_tasks.metrics.document import FAMILIES, Document
from vlm_confidence_tasks.metrics.table import METRICS, Metric, metrics_with, task_metrics

__all__ = [
    "Confusion",
    "Document",
    "FAMILIES",
    "Interval",
    "METRICS",
    "Metric",
    "ReliabilityCurve",
    "RiskCoverageCurve",
    "ThresholdDefense",
    "aurc",
    "auroc",
    "bootstrap_ece_interval",
    "bootstrap_interval",
    "bootstrap_mean_interval",
    "bootstrap_sums_interval",
    "brier_score",
    "calibration_noise_floor",
    "confusion",
    "document_flip_rate",
    "entropy_drop_rate",
    "expected_calibration_error",
    "f1_score",
    "fn_correction",
    "fp_correction",
    "instance_flip_rate",
    "maximum_calibration_error",
    "metrics_with",
    "negative_log_likelihood",
    "overconfidence",
    "precision",
    "recall",
    "reliability_curve",
    "right_to_wrong",
    "risk_coverage_curve",
    "spearman",
    "task_metrics",
    "threshold_defense",
    "visual_entropy",
    "wilcoxon_p",
    "wrong_to_right",
    "yes_ratio",
]
