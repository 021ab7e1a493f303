"""Whether it is right to be sure, of every kind of confidence."""

from __future__ import annotations

from vlm_confidence_tasks.metrics.answers import Source
from vlm_confidence_tasks.metrics.catalogue.metric import (
    BOTH,
    DOWN,
    NEITHER,
    UP,
    Metric,
)
from vlm_confidence_tasks.metrics.functional.calibration import (
    expected_calibration_error,
    maximum_calibration_error,
    smooth_calibration_error,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.functional.ranking import (
    aurc,
    aurc_of_ranks,
    auroc,
    auroc_of_ranks,
)
from vlm_confidence_tasks.metrics.inference.calibrated import DRAWS
from vlm_confidence_tasks.metrics.statistics.calibration_errors import (
    CalibrationError,
    CalibrationFloor,
    CalibrationP,
    DebiasedCalibrationError,
)
from vlm_confidence_tasks.metrics.statistics.means import Loss, Overconfidence, squared_gap
from vlm_confidence_tasks.metrics.statistics.rankings import Ranking

# Lowest and highest of the cells of the coverage study: most of these intervals hold too often.
HELD = "its interval holds in 89 to 100%"
CONFIDENCES: tuple[Source, ...] = ("stated", "options")


def adaptive_calibration_error(confidence: Floats, correct: Floats) -> float:
    """ECE with bins of equal mass."""
    return expected_calibration_error(confidence, correct, strategy="quantile")


METRICS = (
    Metric(
        "overconfidence",
        Overconfidence(),
        NEITHER,
        "{confidence}: confidence minus accuracy on {images}",
        sides=BOTH,
        also=CONFIDENCES,
        core=BOTH,
        limits=HELD,
    ),
    Metric(
        "brier",
        Loss(squared_gap),
        DOWN,
        "{confidence}: mean (confidence - correct)^2 on {images}",
        sides=BOTH,
        also=CONFIDENCES,
        limits=HELD,
    ),
    Metric(
        "ece",
        CalibrationError(expected_calibration_error, "uniform"),
        DOWN,
        "{confidence}: calibration error on {images}, equal-width bins; biased upwards: see {floor}",
        sides=BOTH,
        also=CONFIDENCES,
        core=BOTH,
        floor="ece_floor",
        limits=HELD,
    ),
    Metric(
        "ece_floor",
        CalibrationFloor(),
        NEITHER,
        "{confidence}: ECE on {images} if calibration were perfect",
        sides=BOTH,
        also=CONFIDENCES,
        core=BOTH,
    ),
    Metric(
        "ece_p",
        CalibrationP(),
        NEITHER,
        "{confidence}: p of the ECE on {images} if calibration were perfect",
        sides=BOTH,
        also=CONFIDENCES,
        is_p=True,
        limits=f"under 0.05 in 1 to 8% of calibrated models; at least 1/{DRAWS + 1}",
    ),
    Metric(
        "ece_debiased",
        DebiasedCalibrationError(expected_calibration_error, "uniform"),
        DOWN,
        "{confidence}: ECE on {images} less its bias",
        sides=BOTH,
        also=CONFIDENCES,
        limits=HELD,
    ),
    Metric(
        "smece",
        CalibrationError(smooth_calibration_error, "smooth"),
        DOWN,
        "{confidence}: calibration error on {images} without bins",
        sides=BOTH,
        also=CONFIDENCES,
        limits=HELD,
    ),
    Metric(
        "ace",
        CalibrationError(adaptive_calibration_error, "quantile"),
        DOWN,
        "{confidence}: calibration error on {images}, equal-mass bins; biased upwards",
        sides=BOTH,
        also=CONFIDENCES,
        limits=HELD,
    ),
    # No interval: a bin of few answers says nothing of the bin's true error.
    Metric(
        "mce",
        CalibrationError(maximum_calibration_error, None),
        DOWN,
        "{confidence}: largest calibration error of a bin on {images}; biased upwards",
        sides=BOTH,
        also=CONFIDENCES,
    ),
    Metric(
        "auroc",
        Ranking(auroc, auroc_of_ranks),
        UP,
        "{confidence}: AUROC of confidence for right answers to {images}",
        sides=BOTH,
        also=CONFIDENCES,
    ),
    Metric(
        "aurc",
        Ranking(aurc, aurc_of_ranks),
        DOWN,
        "{confidence}: area under the risk-coverage curve on {images}",
        sides=BOTH,
        also=CONFIDENCES,
    ),
)
