"""Signals that a clean answer is wrong."""

from __future__ import annotations

from vlm_confidence_tasks.metrics.catalogue.metric import DOCUMENTS, UP, Metric
from vlm_confidence_tasks.metrics.statistics.error_signals import (
    PairAuroc,
    SignalAuroc,
    SignalGain,
)
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic
from vlm_confidence_tasks.types import Measure

VERBAL: frozenset[Measure] = frozenset({"verbal"})
INSIDE: frozenset[Measure] = frozenset({"representations"})


def _auroc(
    name: str, signal: str, words: str, requires: frozenset[Measure] = frozenset()
) -> Metric:
    return _record(name, SignalAuroc(signal), f"AUROC of {words} for wrong clean answers", requires)


def _gain(name: str, signal: str, words: str, requires: frozenset[Measure] = frozenset()) -> Metric:
    less = f"AUROC of {words} for wrong clean answers, less 1 - confidence's"
    return _record(name, SignalGain(signal), less, requires)


def _record(
    name: str,
    statistic: Statistic,
    description: str,
    requires: frozenset[Measure] = frozenset(),
) -> Metric:
    return Metric(
        name,
        statistic,
        description,
        higher_is_better=UP,
        sides=DOCUMENTS,
        requires=requires,
        needs="50 wrong",
    )


STATED = "1 - stated certainty"
VISUAL = "entropy of the answers to clean and perturbed images"
DRIFT = "drift of the context when perturbed"
LAYER = "entropy of the middle layer"
PAIR = "the two signals that are best on the other half"

METRICS = (
    _auroc("error_auroc_confidence", "confidence", "1 - confidence"),
    _auroc("error_auroc_entropy", "entropy", "entropy"),
    _gain("error_auroc_gain_entropy", "entropy", "entropy"),
    _auroc("error_auroc_verbal", "verbal", STATED, VERBAL),
    _gain("error_auroc_gain_verbal", "verbal", STATED, VERBAL),
    _auroc("error_auroc_visual_entropy", "visual_entropy", VISUAL),
    _gain("error_auroc_gain_visual_entropy", "visual_entropy", VISUAL),
    _auroc("error_auroc_drift", "drift", DRIFT, INSIDE),
    _gain("error_auroc_gain_drift", "drift", DRIFT, INSIDE),
    _auroc("error_auroc_layer_entropy", "layer_entropy", LAYER, INSIDE),
    _gain("error_auroc_gain_layer_entropy", "layer_entropy", LAYER, INSIDE),
    _record("error_auroc_pair", PairAuroc(), f"AUROC of {PAIR} for wrong clean answers"),
    _record(
        "error_auroc_gain_pair",
        PairAuroc(gain=True),
        f"AUROC of {PAIR} for wrong clean answers, less 1 - confidence's",
    ),
)
