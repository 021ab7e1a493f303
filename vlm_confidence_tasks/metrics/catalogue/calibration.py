"""Whether it is right to be sure, of every kind of confidence."""

from __future__ import annotations

from operator import attrgetter

from vlm_confidence_tasks.metrics.answers import Source
from vlm_confidence_tasks.metrics.catalogue.metric import (
    BOTH,
    DOWN,
    UP,
    Metric,
)
from vlm_confidence_tasks.metrics.functional.calibration import (
    classwise_calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
    smooth_calibration_error,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.functional.ranking import (
    augrc,
    augrc_of_ranks,
    aurc,
    aurc_of_ranks,
    excess_aurc,
    prediction_rejection_ratio,
)
from vlm_confidence_tasks.metrics.functional.reliability import (
    calibration_slope,
    corp_reliability,
)
from vlm_confidence_tasks.metrics.inference.calibrated import P_DRAWS
from vlm_confidence_tasks.metrics.statistics.calibration_errors import (
    CalibrationError,
    CalibrationIntercept,
    CalibrationTestNumber,
    DebiasedCalibrationError,
    OfLabels,
    WithoutLaw,
)
from vlm_confidence_tasks.metrics.statistics.means import (
    Loss,
    Overconfidence,
    squared_gap,
    squared_gaps,
)
from vlm_confidence_tasks.metrics.statistics.rankings import Auroc, Ranking

# Lowest and highest of the cells of the coverage study: most of these intervals hold too often.
HELD = "its interval holds in 89 to 100%"
# Lower where 90% of the confidences are exactly 1, and where few images have many questions.
INTERCEPT_HELD = "its interval holds in 77 to 100%"
AUROC_HELD = "its interval holds in 86 to 100%"
AURC_HELD = "its interval holds in 59 to 100%"
AUGRC_HELD = "its interval holds in 71 to 100%"
CONFIDENCES: tuple[Source, ...] = ("stated", "options")


def adaptive_calibration_error(confidence: Floats, correct: Floats) -> float:
    """ECE with bins of equal mass."""
    return expected_calibration_error(confidence, correct, strategy="quantile")


METRICS = (
    Metric(
        "overconfidence",
        Overconfidence(),
        "{confidence}: confidence minus accuracy on {images}",
        sides=BOTH,
        also=CONFIDENCES,
        core=BOTH,
        per_image=True,
        limits=HELD,
        needs="1,000",
        cannot_tell="errors that cancel",
    ),
    Metric(
        "brier",
        Loss(squared_gaps, most=2.0),
        "{confidence}: mean over answers to {images} of the sum over labels of (p - [right])^2",
        higher_is_better=DOWN,
        sides=BOTH,
        also=("options",),
        redefined=True,
        limits=HELD,
        needs="500",
        cannot_tell="calibration alone: accuracy is part of it",
    ),
    Metric(
        "brier_top",
        Loss(squared_gap),
        "{confidence}: mean (confidence - correct)^2 on {images}, of the given answer",
        higher_is_better=DOWN,
        sides=BOTH,
        also=CONFIDENCES,
        formerly="brier",
        limits=HELD,
        needs="500",
        cannot_tell="as `brier`; its parts are `miscalibration` and the next two",
    ),
    Metric(
        "miscalibration",
        WithoutLaw(lambda *columns: corp_reliability(*columns).miscalibration),
        "{confidence}: part of `brier_top` on {images} that isotonic recalibration takes away "
        "(CORP); biased upwards",
        higher_is_better=DOWN,
        sides=BOTH,
        also=CONFIDENCES,
        needs="1,000",
        cannot_tell="the direction: see `overconfidence`",
    ),
    Metric(
        "discrimination",
        WithoutLaw(lambda *columns: corp_reliability(*columns).discrimination),
        "{confidence}: what recalibrated confidences on {images} gain over the accuracy alone, in "
        "`brier_top` (CORP); biased upwards",
        higher_is_better=UP,
        sides=BOTH,
        also=CONFIDENCES,
        needs="1,000",
        cannot_tell="calibration: only the order counts",
    ),
    Metric(
        "uncertainty",
        WithoutLaw(lambda *columns: corp_reliability(*columns).uncertainty),
        "{confidence}: accuracy (1 - accuracy) on {images}: `brier_top` is `miscalibration` less "
        "`discrimination` and this",
        sides=BOTH,
        also=CONFIDENCES,
        cannot_tell="anything about the confidences",
    ),
    Metric(
        "calibration_slope",
        WithoutLaw(calibration_slope),
        "{confidence}: slope of the log-odds of being right on {images} over those of the "
        "confidence; 1 if calibrated, under it too extreme",
        sides=BOTH,
        also=CONFIDENCES,
        needs="100 wrong, 100 right",
        cannot_tell="whether the mean is right: see `calibration_intercept`",
    ),
    Metric(
        "calibration_intercept",
        CalibrationIntercept(),
        "{confidence}: mean shift of the log-odds of being right on {images} against those of the "
        "confidence; under 0: overconfident",
        sides=BOTH,
        also=CONFIDENCES,
        limits=INTERCEPT_HELD,
        needs="100 wrong, 100 right",
        cannot_tell="errors that cancel: see `calibration_slope`",
    ),
    Metric(
        "ece",
        CalibrationError("uniform", expected_calibration_error),
        "{confidence}: calibration error on {images}, equal-width bins; biased upwards: see "
        "{floor}",
        higher_is_better=DOWN,
        sides=BOTH,
        also=CONFIDENCES,
        core=BOTH,
        floor="ece_floor",
        limits=HELD,
        needs="1,000",
        cannot_tell="the direction: see `overconfidence`",
    ),
    Metric(
        "ece_floor",
        CalibrationTestNumber(attrgetter("floor")),
        "{confidence}: ECE on {images} if calibration were perfect",
        sides=BOTH,
        also=CONFIDENCES,
        core=BOTH,
        needs="1,000",
        cannot_tell="anything about the model but its confidences",
    ),
    Metric(
        "ece_p",
        CalibrationTestNumber(attrgetter("p")),
        "{confidence}: p of the ECE on {images} if calibration were perfect",
        sides=BOTH,
        also=CONFIDENCES,
        is_p=True,
        redefined=True,
        limits=f"under 0.05 in 0 to 9% of calibrated models; at least 1/{P_DRAWS + 1:,}",
        cannot_tell="how far the model is off; that it is calibrated, if p is large",
    ),
    Metric(
        "ece_debiased",
        DebiasedCalibrationError(),
        "{confidence}: ECE on {images} less its bias",
        higher_is_better=DOWN,
        sides=BOTH,
        also=CONFIDENCES,
        limits=HELD,
        cannot_tell="the direction; of a calibrated model it is still about half of `ece_floor`",
    ),
    Metric(
        "smece",
        CalibrationError("smooth", smooth_calibration_error),
        "{confidence}: calibration error on {images} without bins",
        higher_is_better=DOWN,
        sides=BOTH,
        also=CONFIDENCES,
        limits=HELD,
        needs="1,000",
        cannot_tell="the direction; biased upwards, without a floor",
    ),
    Metric(
        "ace",
        CalibrationError("quantile", adaptive_calibration_error),
        "{confidence}: calibration error on {images}, equal-mass bins; biased upwards",
        higher_is_better=DOWN,
        sides=BOTH,
        also=CONFIDENCES,
        limits=HELD,
        needs="1,000",
        cannot_tell="the direction; it has no floor",
    ),
    Metric(
        "ece_classwise",
        OfLabels(classwise_calibration_error),
        "{confidence}: calibration error on {images} of every label's probability, mean over "
        "labels; biased upwards",
        higher_is_better=DOWN,
        sides=BOTH,
        also=("options",),
        needs="1,000",
        cannot_tell="which label; it has no floor",
    ),
    # No interval: a bin of few answers says nothing of the bin's true error.
    Metric(
        "mce",
        WithoutLaw(maximum_calibration_error),
        "{confidence}: largest calibration error of a bin on {images}; biased upwards",
        higher_is_better=DOWN,
        sides=BOTH,
        also=CONFIDENCES,
        needs="5,000",
        cannot_tell="calibration at large: one thin bin decides it",
    ),
    Metric(
        "auroc",
        Auroc(),
        "{confidence}: AUROC of confidence for right answers to {images}",
        higher_is_better=UP,
        sides=BOTH,
        also=CONFIDENCES,
        limits=AUROC_HELD,
        needs="100 wrong, 100 right",
        cannot_tell="calibration: only the order counts",
    ),
    Metric(
        "aurc",
        Ranking(aurc, aurc_of_ranks),
        "{confidence}: area under the risk-coverage curve on {images}",
        higher_is_better=DOWN,
        sides=BOTH,
        also=CONFIDENCES,
        limits=AURC_HELD,
        needs="1,000",
        cannot_tell="models of unequal accuracy: it depends on accuracy",
    ),
    Metric(
        "eaurc",
        WithoutLaw(excess_aurc),
        "{confidence}: `aurc` on {images} less that of the best order",
        higher_is_better=DOWN,
        sides=BOTH,
        also=CONFIDENCES,
        needs="1,000",
        cannot_tell="models of unequal accuracy: it still depends on accuracy",
    ),
    Metric(
        "augrc",
        Ranking(augrc, augrc_of_ranks),
        "{confidence}: area under the generalised risk-coverage curve on {images}",
        higher_is_better=DOWN,
        sides=BOTH,
        also=CONFIDENCES,
        limits=AUGRC_HELD,
        needs="1,000",
        cannot_tell="as `aurc`",
    ),
    Metric(
        "prr",
        WithoutLaw(prediction_rejection_ratio),
        "{confidence}: prediction rejection ratio on {images}: 1 if all right answers are surer "
        "than all wrong ones, 0 for a random order",
        higher_is_better=UP,
        sides=BOTH,
        also=CONFIDENCES,
        needs="100 wrong, 100 right",
        cannot_tell="calibration: only the order counts",
    ),
)
METRICS_BY_FAMILY = (
    Metric(
        "ece_{family}",
        CalibrationError("uniform", expected_calibration_error),
        "unparsed answers left out: calibration error on {family} images, equal-width bins; biased "
        "upwards: see {floor}",
        higher_is_better=DOWN,
        floor="ece_floor_{family}",
        limits=HELD,
        needs="1,000",
        cannot_tell="the direction",
    ),
    Metric(
        "ece_floor_{family}",
        CalibrationTestNumber(attrgetter("floor")),
        "unparsed answers left out: ECE on {family} images if calibration were perfect",
        needs="1,000",
        cannot_tell="as `ece_floor`",
    ),
)
