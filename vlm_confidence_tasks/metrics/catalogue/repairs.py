"""Whether what is repaired or promised on clean images survives the perturbation."""

from __future__ import annotations

from vlm_confidence_tasks.metrics.catalogue.metric import (
    BOTH,
    DOWN,
    Metric,
)
from vlm_confidence_tasks.metrics.statistics.cross_fit import (
    ACCEPTED,
    APS_SETS,
    ISOTONIC,
    LAC_SETS,
    SCALED,
)
from vlm_confidence_tasks.metrics.statistics.refitted import (
    RefittedError,
    RefittedLoss,
    RefittedMean,
    RefittedShare,
    RefittedSize,
    Temperature,
)

# What is fitted is taken as given, which tells least where 90% of confidences are exactly 1.
ERROR_HELD = "its interval holds in 61 to 100%"
LOSS_HELD = "its interval holds in 75 to 100%"
NLL_HELD = "its interval holds in 72 to 100%"
SIZE_HELD = "its interval holds in 81 to 95%"

METRICS = (
    Metric(
        "temperature",
        Temperature(),
        "temperature of {probabilities} that gives clean images the least NLL; over 1: "
        "overconfident",
        also=("options",),
        redefined=True,
        needs="50 wrong",
        cannot_tell="whether one temperature is enough: see `ece_ts_clean`",
    ),
    Metric(
        "ece_ts",
        RefittedError(SCALED),
        "{probabilities}, scaled by clean images' temperature: calibration error on {images}; "
        "biased upwards",
        higher_is_better=DOWN,
        sides=BOTH,
        also=("options",),
        redefined=True,
        limits=ERROR_HELD,
        needs="50 wrong",
        cannot_tell="the order of confidences, which stays; it has no floor",
    ),
    Metric(
        "brier_top_ts",
        RefittedLoss(SCALED, "brier"),
        "{probabilities}, scaled by clean images' temperature: mean (confidence - correct)^2 on "
        "{images}, of the given answer",
        higher_is_better=DOWN,
        sides=BOTH,
        also=("options",),
        formerly="brier_ts",
        limits=LOSS_HELD,
        needs="50 wrong",
        cannot_tell="as `ece_ts`",
    ),
    Metric(
        "nll_ts",
        RefittedMean(SCALED, "nll"),
        "{probabilities}, scaled by clean images' temperature: mean -ln p(right) on {images}, in "
        "nats",
        higher_is_better=DOWN,
        sides=BOTH,
        also=("options",),
        redefined=True,
        limits=NLL_HELD,
        needs="50 wrong",
        cannot_tell="as `ece_ts`",
    ),
    Metric(
        "verbal_ece_iso",
        RefittedError(ISOTONIC),
        "stated certainty, by isotonic regression on clean ones: calibration error on {images}; "
        "biased upwards",
        higher_is_better=DOWN,
        sides=BOTH,
        source="stated",
        limits=ERROR_HELD,
        needs="500",
        cannot_tell="as `ece_ts`",
    ),
    Metric(
        "verbal_brier_top_iso",
        RefittedLoss(ISOTONIC, "brier"),
        "stated certainty, by isotonic regression on clean ones: mean (confidence - correct)^2 on "
        "{images}",
        higher_is_better=DOWN,
        sides=BOTH,
        formerly="verbal_brier_iso",
        source="stated",
        limits=LOSS_HELD,
        needs="500",
        cannot_tell="as `ece_ts`",
    ),
    Metric(
        "hit_90",
        RefittedShare(LAC_SETS, "covered"),
        "share of {images} with the right label in the 90% set (LAC) of clean images",
        sides=BOTH,
        formerly="coverage_90",
        needs="100 images",
        cannot_tell="the price: a set of all labels covers everything; see `set_size_90`",
    ),
    Metric(
        "set_size_90",
        RefittedSize(LAC_SETS, "size"),
        "mean number of labels in the 90% set (LAC) on {images}, at least 1",
        higher_is_better=DOWN,
        sides=BOTH,
        redefined=True,
        limits=SIZE_HELD,
        needs="100 images",
        cannot_tell="whether the sets are right",
    ),
    Metric(
        "empty_90",
        RefittedShare(LAC_SETS, "empty"),
        "share of {images} whose 90% set (LAC) is the likeliest label alone for want of any other",
        sides=BOTH,
        needs="100 images",
        cannot_tell="whether these answers are right",
    ),
    Metric(
        "aps_hit_90",
        RefittedShare(APS_SETS, "covered"),
        "share of {images} with the right label in the 90% set (randomised APS) of clean images",
        sides=BOTH,
        formerly="aps_coverage_90",
        needs="100 images",
        cannot_tell="the price: see `aps_set_size_90`",
    ),
    Metric(
        "aps_set_size_90",
        RefittedSize(APS_SETS, "size"),
        "mean number of labels in the 90% set (randomised APS) on {images}, at least 1",
        higher_is_better=DOWN,
        sides=BOTH,
        redefined=True,
        limits=SIZE_HELD,
        needs="100 images",
        cannot_tell="whether the sets are right; larger than LAC's where the model is sure",
    ),
    Metric(
        "aps_empty_90",
        RefittedShare(APS_SETS, "empty"),
        "share of {images} whose 90% set (randomised APS) is the likeliest label alone for want of "
        "any other",
        sides=BOTH,
        needs="100 images",
        cannot_tell="as `empty_90`",
    ),
    Metric(
        "risk_80",
        RefittedShare(ACCEPTED, "wrong", below="given"),
        "share of wrong ones among the answers to {images} given at the confidence that gives 80% "
        "of the clean ones",
        higher_is_better=DOWN,
        sides=BOTH,
        needs="100 wrong",
        cannot_tell="other thresholds: see `aurc`",
    ),
    Metric(
        "answered_80",
        RefittedShare(ACCEPTED, "given"),
        "share of answers to {images} given at the confidence that gives 80% of the clean ones",
        sides=BOTH,
        needs="100 wrong",
        cannot_tell="whether the answers are right: see `risk_80`",
    ),
)
