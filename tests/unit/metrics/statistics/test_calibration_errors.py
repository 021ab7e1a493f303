"""Calibration errors have the inverted tests of `inference`; their floor and p are one test's."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from vlm_confidence_tasks.metrics import (
    Answers,
    calibration_error_interval,
    debiased_calibration_error,
    smooth_calibration_error,
)
from vlm_confidence_tasks.metrics.catalogue.calibration import adaptive_calibration_error
from vlm_confidence_tasks.metrics.functional.calibration import expected_calibration_error
from vlm_confidence_tasks.metrics.inference.rare_errors import calibration_intercept_interval
from vlm_confidence_tasks.metrics.statistics import calibration_errors
from vlm_confidence_tasks.metrics.statistics.calibration_errors import (
    CalibrationError,
    CalibrationIntercept,
    CalibrationTestNumber,
    DebiasedCalibrationError,
    WithoutLaw,
)

from ..everything import agree, documents, rows, table


def answered(samples):
    return rows(samples, lambda r, clean: r.confidence, lambda r, clean: float(r.correct))


def debiased(confidence, correct, image):
    return debiased_calibration_error(confidence, correct, image)


@pytest.mark.parametrize(
    ("statistic", "error", "kind"),
    [
        (CalibrationError(kind, measure), lambda c, r, image, of=measure: of(c, r), kind)
        for measure, kind in (
            (expected_calibration_error, "uniform"),
            (adaptive_calibration_error, "quantile"),
            (smooth_calibration_error, "smooth"),
        )
    ]
    + [(DebiasedCalibrationError(), debiased, "uniform")],
)
def test_errors_have_the_inverted_tests(statistic, error, kind):
    def expected(confidence, correct, image, paired=None, level=0.95):
        columns = (confidence, correct, image)
        sides = [slice(None)] if paired is None else [~paired, paired]
        errors = [error(*(column[side] for column in columns)) for side in sides]
        estimate = errors[-1] - (errors[0] if len(errors) > 1 else 0.0)
        return calibration_error_interval(*columns, estimate, kind=kind, paired=paired, level=level)

    agree(statistic, answered, expected)


def test_the_intercept_has_the_interval_of_accuracy():
    agree(CalibrationIntercept(), answered, calibration_intercept_interval)


def test_what_has_no_known_law_has_no_interval():
    statistic = WithoutLaw(expected_calibration_error)
    view = table().perturbed
    assert statistic.value(view) is not None and not statistic.estimates
    assert statistic.interval(view) is statistic.difference(view, view) is None


def test_floor_and_p_are_read_from_one_test_of_the_view():
    view = table().perturbed
    floor, p = (CalibrationTestNumber(lambda t, of=of: getattr(t, of)) for of in ("floor", "p"))
    found = calibration_errors.tested(view)
    assert (floor.value(view), p.value(view)) == (found.floor, found.p)
    assert floor.interval(view) is None


def test_the_test_does_not_depend_on_the_names_of_questions():
    renamed = [replace(sample, question_id=f"{1000 - n}") for n, sample in enumerate(documents())]
    views = Answers.of(renamed).perturbed, table().perturbed
    assert calibration_errors.tested(views[0]) == calibration_errors.tested(views[1])
