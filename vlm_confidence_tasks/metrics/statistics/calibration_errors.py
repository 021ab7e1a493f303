"""Calibration errors, their noise floor and the test of perfect calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.calibration import expected_calibration_error
from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.functional.reliability import calibration_intercept
from vlm_confidence_tasks.metrics.inference.calibrated import CalibrationTest, calibration_test
from vlm_confidence_tasks.metrics.inference.calibration_error import (
    Kind,
    calibration_error_interval,
    debiased_calibration_error,
)
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, Interval
from vlm_confidence_tasks.metrics.inference.rare_errors import (
    calibration_intercept_interval,
    overconfidence_interval,
)
from vlm_confidence_tasks.metrics.statistics.cross_fit import label_columns
from vlm_confidence_tasks.metrics.statistics.statistic import (
    OfRows,
    Rows,
    Statistic,
    Take,
    WithoutInterval,
    rows_of,
)


def confidence(answers: Answers) -> Floats:
    """Return the confidence of each answer, NaN without one, [N]."""
    return answers.confidence


def correct(answers: Answers) -> Floats:
    """Return whether each answer is right, NaN without a right answer, [N]."""
    return answers.correct


class Calibration(Statistic):
    """A number of the confidence and correctness of the answers that have both."""

    @property
    def _takes(self) -> tuple[Take, ...]:
        return (confidence, correct)


@dataclass(frozen=True)
class ByInvertedTest(Calibration, OfRows):
    """A calibration error; its interval inverts a test, since the error is biased by chance.

    Attributes:
        kind: How answers are put together, for the interval.
    """

    kind: Kind = "uniform"

    def interval(self, answers: Answers, level: float = LEVEL) -> Interval | None:
        """Return the interval: that of all errors of a kind, widened to hold this one."""
        estimate = self.value(answers)
        if estimate is None or self._rows_for_interval(answers) is None:
            return None
        found = answers.once(_InvertedAt(self.kind, level))
        return found and found.holding(estimate)

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        estimate = self._change(rows)
        if estimate is None:
            return None
        sure, right = rows.columns
        return calibration_error_interval(
            sure, right, rows.image, estimate, kind=self.kind, paired=rows.second, level=level
        )


@dataclass(frozen=True)
class _InvertedAt:
    """The interval of a view's calibration errors of a kind, whatever their estimate."""

    kind: Kind
    level: float

    def __call__(self, answers: Answers) -> Interval | None:
        rows = rows_of((answers,), (confidence, correct))
        if rows is None:
            return None
        sure, right = rows.columns
        return calibration_error_interval(
            sure,
            right,
            rows.image,
            kind=self.kind,
            level=self.level,
            overconfidence=answers.once(_OverconfidenceAt(self.level)),
        )


@dataclass(frozen=True)
class _OverconfidenceAt:
    """The interval of a view's overconfidence at a level, which all kinds of errors share."""

    level: float

    def __call__(self, answers: Answers) -> Interval | None:
        rows = rows_of((answers,), (confidence, correct))
        if rows is None:
            return None
        sure, right = rows.columns
        ones = np.ones(sure.size)
        return overconfidence_interval(sure, right, ones, rows.image, level=self.level)


@dataclass(frozen=True)
class DebiasedCalibrationError(ByInvertedTest):
    """Equal-width ECE less its bias, which is known from how the errors of images differ."""

    def _value(self, rows: Rows) -> float | None:
        sure, right = rows.columns
        return debiased_calibration_error(sure, right, rows.image)


@dataclass(frozen=True)
class CalibrationError(ByInvertedTest):
    """How far confidence is from accuracy, biased upwards by chance.

    Attributes:
        measure: The error, of confidences, [N], and correctness, [N].
    """

    measure: Callable[[Floats, Floats], float] = expected_calibration_error

    def _value(self, rows: Rows) -> float | None:
        return self.measure(*rows.columns)


@dataclass(frozen=True)
class CalibrationIntercept(Calibration, OfRows):
    """The shift of log-odds that makes confidences as often right as they say."""

    def _value(self, rows: Rows) -> float | None:
        return calibration_intercept(*rows.columns)

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        columns = (*rows.columns, rows.image)
        return calibration_intercept_interval(*columns, paired=rows.second, level=level)


@dataclass(frozen=True)
class WithoutLaw(Calibration, WithoutInterval):
    """A measure of confidences and correctness of which no interval is known to hold.

    Attributes:
        measure: The measure, of confidences, [N], and correctness, [N].
    """

    measure: Callable[[Floats, Floats], float | None]

    def value(self, answers: Answers) -> float | None:
        """Return the number; None if it is not defined on these answers."""
        rows = rows_of((answers,), self._takes)
        return None if rows is None else self.measure(*rows.columns)


@dataclass(frozen=True)
class OfLabels(Calibration, WithoutInterval):
    """A measure of all labels' probabilities and the right label, without an interval.

    Attributes:
        measure: The measure, of probabilities, [N, L], and the right label, [N].
    """

    measure: Callable[[Floats, Ints], float | None]

    def value(self, answers: Answers) -> float | None:
        """Return the number; None without answers that have probabilities."""
        probs, _, gold, _, _ = label_columns(answers)
        rows = np.flatnonzero(~np.isnan(probs).all(axis=1))
        return self.measure(probs[rows], gold[rows]) if rows.size else None


@dataclass(frozen=True)
class CalibrationTestNumber(Calibration, WithoutInterval):
    """A number of the test whether an ECE is that of perfectly calibrated answers.

    Attributes:
        measure: What is read from the test.
    """

    measure: Callable[[CalibrationTest], float]

    def value(self, answers: Answers) -> float | None:
        """Return the number; None without answers that have a confidence."""
        test = answers.once(tested)
        return None if test is None else self.measure(test)


def tested(answers: Answers) -> CalibrationTest | None:
    """Compare the ECE of a view with that of perfectly calibrated answers; None without any."""
    rows = rows_of((answers,), (confidence, correct))
    if rows is None:
        return None
    place = _places(rows)
    order = np.argsort(place, kind="stable")
    sure, right = (column[order] for column in rows.columns)
    return calibration_test(sure, right, place[order], rows.image[order])


def _places(rows: Rows) -> Ints:
    """Number the documents of rows by image, confidences and correctness.

    The test draws by document: so its numbers do not depend on how documents are named.
    """
    _, starts, document = np.unique(rows.document, return_index=True, return_inverse=True)
    number = np.arange(document.size) - starts[document]
    cells = np.full((2, number.max() + 1, starts.size), -1.0)
    cells[:, number, document] = rows.columns
    order = np.lexsort((*cells[1, ::-1], *cells[0, ::-1], rows.image[starts]))
    place = np.empty(order.size, dtype=np.intp)
    place[order] = np.arange(order.size)
    return place[document]
