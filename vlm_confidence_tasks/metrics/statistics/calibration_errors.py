"""Calibration errors, their noise floor and the test of perfect calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.inference.calibrated import CalibrationTest, calibration_test
from vlm_confidence_tasks.metrics.inference.calibration_error import (
    Kind,
    calibration_error_interval,
    debiased_calibration_error,
)
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic, Views, joined

# From confidence, [N], and correctness, [N], to an error.
ErrorOf = Callable[[Floats, Floats], float]


def confidence(answers: Answers) -> Floats:
    """Return the confidence of each answer, NaN without one, [N]."""
    return answers.confidence


def correct(answers: Answers) -> Floats:
    """Return whether each answer is right, NaN without a right answer, [N]."""
    return answers.correct


@dataclass(frozen=True)
class CalibrationError(Statistic):
    """How far confidence is from accuracy; the interval inverts a test, since it is biased.

    Attributes:
        measure: The error.
        kind: How answers are put together, for the interval; None: it has no interval.
    """

    measure: ErrorOf
    kind: Kind | None

    @property
    def estimates(self) -> bool:
        """Whether there is an interval."""
        return self.kind is not None

    def value(self, answers: Answers) -> float | None:
        """Return the error; None if no answer has a confidence and is right or wrong."""
        rows = joined((answers,), confidence, correct)
        if rows is None:
            return None
        sure, right = rows.columns
        # In one order, so that rounding is the same.
        order = np.lexsort((right, sure))
        return self.measure(sure[order], right[order])

    def _interval(self, views: Views, level: float) -> Interval | None:
        rows, estimate = joined(views, confidence, correct), self.change(views)
        if self.kind is None or rows is None or estimate is None:
            return None
        return calibration_error_interval(
            *rows.columns,
            rows.image,
            estimate=estimate,
            kind=self.kind,
            paired=rows.second,
            level=level,
        )


@dataclass(frozen=True)
class DebiasedCalibrationError(CalibrationError):
    """Equal-width ECE less its bias, which is known from how the errors of images differ."""

    def value(self, answers: Answers) -> float | None:
        """Return the error; None of a single image."""
        rows = joined((answers,), confidence, correct)
        return None if rows is None else debiased_calibration_error(*rows.columns, rows.image)


def tested(answers: Answers) -> CalibrationTest | None:
    """Compare the ECE of a view with that of perfectly calibrated answers; None without answers."""
    known = np.flatnonzero(~np.isnan(answers.confidence) & ~np.isnan(answers.correct))
    if not known.size:
        return None
    sure, right = answers.confidence[known], answers.correct[known]
    image, order = answers.image[known], _by_content(answers, known)
    _, document = np.unique(answers.document[known], return_inverse=True)
    place = np.empty(order.size, dtype=np.intp)
    place[order] = np.arange(order.size)
    rows = np.argsort(place[document], kind="stable")
    return calibration_test(sure[rows], right[rows], place[document][rows], image[rows])


def _by_content(answers: Answers, rows: Ints) -> Ints:
    """Return the documents of some rows by image, confidences and correctness.

    The test draws by document: so its numbers do not depend on how documents are named.
    """
    _, document = np.unique(answers.document[rows], return_inverse=True)
    starts = np.searchsorted(document, np.arange(document.max() + 1))
    place = np.arange(rows.size) - starts[document]
    cells = np.full((2, place.max() + 1, starts.size), -1.0)
    cells[0, place, document] = answers.confidence[rows]
    cells[1, place, document] = answers.correct[rows]
    return np.lexsort((*cells[1][::-1], *cells[0][::-1], answers.image[rows][starts]))


@dataclass(frozen=True)
class CalibrationFloor(Statistic):
    """The ECE that perfectly calibrated answers with the same confidences would show."""

    def value(self, answers: Answers) -> float | None:
        """Return the floor."""
        found = answers.once(tested)
        return None if found is None else found.floor


@dataclass(frozen=True)
class CalibrationP(Statistic):
    """The p of the ECE, if calibration were perfect."""

    def value(self, answers: Answers) -> float | None:
        """Return p."""
        found = answers.once(tested)
        return None if found is None else found.p
