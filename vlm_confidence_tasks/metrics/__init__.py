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
from vlm_confidence_tasks.metrics._correlation import bootstrap_pearson_interval, pearson
from vlm_confidence_tasks.metrics._defense import ThresholdDefense, threshold_defense
from vlm_confidence_tasks.metrics._drift import (
    cohens_d,
    control_drift,
    cosine_drift,
    dirichlet_energy,
    drift_ratio,
    l2_distance,
)
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
from vlm_confidence_tasks.metrics._inside import energy_change, power_change, score_change
from vlm_confidence_tasks.metrics._ranking import (
    RiskCoverageCurve,
    aurc,
    auroc,
    risk_coverage_curve,
    spearman,
)
from vlm_confidence_tasks.metrics._spectra import BANDS, band_powers
from vlm_confidence_tasks.metrics.document import FAMILIES, Document
from vlm_confidence_tasks.metrics.table import (
    INSIDE,
    METRICS,
    Metric,
    families_of,
    metrics_with,
    task_metrics,
)

__all__ = [
    "BANDS",
    "Confusion",
    "Document",
    "FAMILIES",
    "INSIDE",
    "Interval",
    "METRICS",
    "Metric",
    "ReliabilityCurve",
    "RiskCoverageCurve",
    "ThresholdDefense",
    "aurc",
    "auroc",
    "band_powers",
    "bootstrap_ece_interval",
    "bootstrap_interval",
    "bootstrap_mean_interval",
    "bootstrap_pearson_interval",
    "bootstrap_sums_interval",
    "brier_score",
    "calibration_noise_floor",
    "cohens_d",
    "confusion",
    "control_drift",
    "cosine_drift",
    "dirichlet_energy",
    "document_flip_rate",
    "drift_ratio",
    "energy_change",
    "entropy_drop_rate",
    "expected_calibration_error",
    "families_of",
    "f1_score",
    "fn_correction",
    "fp_correction",
    "instance_flip_rate",
    "l2_distance",
    "maximum_calibration_error",
    "metrics_with",
    "negative_log_likelihood",
    "overconfidence",
    "pearson",
    "power_change",
    "precision",
    "recall",
    "reliability_curve",
    "right_to_wrong",
    "risk_coverage_curve",
    "score_change",
    "spearman",
    "task_metrics",
    "threshold_defense",
    "visual_entropy",
    "wilcoxon_p",
    "wrong_to_right",
    "yes_ratio",
]
