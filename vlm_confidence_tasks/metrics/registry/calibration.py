"""Whether it is right to be sure, of every kind of confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from vlm_confidence_tasks.metrics import intervals, reducers
from vlm_confidence_tasks.metrics.extractors import generated_answers as answers
from vlm_confidence_tasks.metrics.extractors import option_loglik as loglik
from vlm_confidence_tasks.metrics.extractors import values
from vlm_confidence_tasks.metrics.extractors import verbal_confidence as verbal
from vlm_confidence_tasks.metrics.functional.calibration import (
    expected_calibration_error,
    maximum_calibration_error,
    smooth_calibration_error,
)
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.functional.ranking import (
    aurc,
    aurc_of_ranks,
    auroc,
    auroc_of_ranks,
)
from vlm_confidence_tasks.metrics.inference.calibrated import DRAWS
from vlm_confidence_tasks.metrics.inference.calibration_error import Kind
from vlm_confidence_tasks.metrics.metric import IntervalFunction, Metric
from vlm_confidence_tasks.metrics.registry.kinds import (
    ALWAYS,
    DOWN,
    LOGLIK,
    NEITHER,
    SIDES,
    UP,
    VERBAL,
    sides,
)

# Lowest and highest of the cells of docs/coverage.md: most of these intervals hold too often.
_HELD = "; its interval holds in 89 to 100%"

Measure = Callable[[Floats, Floats], float | None]
Reduce = Callable[[reducers.Values], float | None]


# Means over confidences and whether the answers are right.
_GAPS = (
    (
        "overconfidence",
        values.overconfidence,
        intervals.of_overconfidence,
        NEITHER,
        "confidence minus accuracy on {images}" + _HELD,
    ),
    (
        "brier",
        values.squared_gap,
        intervals.of_loss,
        DOWN,
        "mean (confidence - correct)^2 on {images}" + _HELD,
    ),
)


def _of_pairs(
    measure: Measure, of_ranks: Callable[[Ints, Bools], float | None]
) -> tuple[Reduce, IntervalFunction]:
    return partial(reducers.from_calibration, measure), partial(intervals.of_answers, of_ranks)


def _error(reduce: Reduce, kind: Kind) -> tuple[Reduce, IntervalFunction]:
    return reduce, partial(intervals.of_calibration_error, kind, reduce)


def _of_error(measure: Measure, kind: Kind) -> tuple[Reduce, IntervalFunction]:
    return _error(partial(reducers.from_calibration, measure), kind)


# Functions of all confidences and of whether the answers are right, with their intervals. The
# largest error of a bin has none: a bin of few answers says nothing of the bin's true error.
_CALIBRATION: tuple[tuple[str, tuple[Reduce, IntervalFunction | None], bool | None, str], ...] = (
    (
        "ece",
        _of_error(expected_calibration_error, "uniform"),
        DOWN,
        "calibration error on {images}, equal-width bins; biased upwards: see {floor}" + _HELD,
    ),
    (
        "ece_floor",
        (reducers.calibration_floor, None),
        NEITHER,
        "ECE on {images} if calibration were perfect",
    ),
    (
        "ece_p",
        (reducers.calibration_p, None),
        NEITHER,
        "p of the ECE on {images} if calibration were perfect, under 0.05 in 1 to 8% of calibrated "
        f"models; at least 1/{DRAWS + 1}",
    ),
    (
        "ece_debiased",
        _error(reducers.debiased_error, "uniform"),
        DOWN,
        "ECE on {images} less its bias" + _HELD,
    ),
    (
        "smece",
        _of_error(smooth_calibration_error, "smooth"),
        DOWN,
        "calibration error on {images} without bins" + _HELD,
    ),
    (
        "ace",
        _of_error(partial(expected_calibration_error, strategy="quantile"), "quantile"),
        DOWN,
        "calibration error on {images}, equal-mass bins; biased upwards" + _HELD,
    ),
    (
        "mce",
        (partial(reducers.from_calibration, maximum_calibration_error), None),
        DOWN,
        "largest calibration error of a bin on {images}; biased upwards",
    ),
    (
        "auroc",
        _of_pairs(auroc, auroc_of_ranks),
        UP,
        "AUROC of confidence for right answers to {images}",
    ),
    (
        "aurc",
        _of_pairs(aurc, aurc_of_ranks),
        DOWN,
        "area under the risk-coverage curve on {images}",
    ),
)


# Kinds of confidence: prefix of the metrics' names, what is calibrated, its description.
_CONFIDENCES = (
    ("", answers.calibrated, "unparsed answers left out: ", ALWAYS),
    ("verbal_", verbal.calibrated, "stated certainty, unparsed answers left out: ", VERBAL),
    ("loglik_", loglik.calibrated, "shares of options: ", LOGLIK),
)


def metrics() -> Iterator[Metric]:
    """Yield the calibration of every kind of confidence."""
    for kind in _CONFIDENCES:
        yield from _of_kind(*kind)


def _of_kind(
    prefix: str, pairs: answers.Pairs, note: str, requires: frozenset[str]
) -> Iterator[Metric]:
    for name, gap, interval, better, text in _GAPS:
        for sided, select, line in sides(f"{prefix}{name}", note + text):
            taken = partial(gap, pairs, select)
            yield Metric(sided, taken, reducers.pooled_mean, interval, requires, better, line)
    extract = {side: partial(values.calibration_columns, pairs, side) for _, side, _ in SIDES}
    for name, (reduce, found), better, text in _CALIBRATION:
        for end, select, images in SIDES:
            floor = f"{prefix}ece_floor{end}"
            yield Metric(
                f"{prefix}{name}{end}",
                extract[select],
                reduce,
                found,
                requires,
                better,
                note + text.format(images=images, floor=floor),
                floor=floor if name == "ece" else None,
                is_p=name == "ece_p",
            )
