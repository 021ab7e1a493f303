"""Debiased calibration errors by simulation; coverage: tests/integration/test_coverage.py."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from vlm_confidence_tasks.metrics import (
    calibration_error_interval,
    calibration_test,
    debiased_calibration_error,
    expected_calibration_error,
    smooth_calibration_error,
)

from .clustered import answers, holds

ESTIMATES = {
    "uniform": expected_calibration_error,
    "quantile": partial(expected_calibration_error, strategy="quantile"),
    "smooth": smooth_calibration_error,
}
KINDS = list(ESTIMATES)


def by_resampling(confidence, correct, draws=4000, n_bins=15):
    """Twice the ECE less the mean of those with resampled accuracies, and the ECE."""
    bins = np.ceil(confidence * n_bins).astype(int)
    rows = [bins == b for b in np.unique(bins)]
    share = np.array([r.mean() for r in rows])
    sure = np.array([confidence[r].mean() for r in rows])
    accuracy = np.array([correct[r].mean() for r in rows])
    error = np.sqrt(accuracy * (1 - accuracy) / [r.sum() for r in rows])
    rng = np.random.default_rng(0)
    resampled = rng.normal(accuracy, error, (draws, len(rows)))
    ece = share @ abs(accuracy - sure)
    return 2 * ece - (abs(resampled - sure) @ share).mean(), ece


@pytest.mark.parametrize("gap", [0.0, 0.03, 0.1])
def test_of_one_answer_an_image_it_is_kumars(gap):
    confidence, correct, image = answers(np.random.default_rng(0), 3000, 1, gap)
    expected, ece = by_resampling(confidence, correct)
    found = debiased_calibration_error(confidence, correct, image)
    assert ece == pytest.approx(expected_calibration_error(confidence, correct))
    # Within a tenth of what it takes off.
    assert abs(found - expected) < 0.1 * (ece - expected) + 2e-4


def test_it_is_over_0_and_under_the_floor_for_calibrated_models():
    rng = np.random.default_rng(1)
    found, plain, floors = [], [], []
    for _ in range(60):
        confidence, correct, image = answers(rng, 50, 6)
        found.append(debiased_calibration_error(confidence, correct, image))
        plain.append(expected_calibration_error(confidence, correct))
        floors.append(calibration_test(confidence, correct, np.arange(300), image).floor)
    assert all(0 <= each < ece for each, ece in zip(found, plain, strict=True))
    assert np.mean(plain) == pytest.approx(np.mean(floors), rel=0.1)
    assert 0.4 < np.mean(found) / np.mean(floors) < 0.7


def test_it_has_no_bias_where_gaps_are_large():
    rng = np.random.default_rng(2)
    found, plain = [], []
    for _ in range(150):
        confidence, correct, image = answers(rng, 50, 6, gap=0.1)
        found.append(debiased_calibration_error(confidence, correct, image))
        plain.append(expected_calibration_error(confidence, correct))
    assert np.mean(found) == pytest.approx(0.1, abs=0.006)
    assert np.mean(plain) > 0.105


def test_copies_on_one_image_take_off_as_much():
    confidence, correct, image = answers(np.random.default_rng(3), 200, 1)
    once = debiased_calibration_error(confidence, correct, image)
    copied = [np.tile(column, 9) for column in (confidence, correct, image)]
    assert debiased_calibration_error(*copied) == pytest.approx(once, abs=1e-3)
    # Taken as answers on images of their own, they would be sure of their gaps.
    alone = debiased_calibration_error(*copied[:2], np.arange(1800))
    assert alone > 1.5 * once


def test_a_single_image_has_no_errors():
    assert debiased_calibration_error([0.5, 0.9], [0, 1], ["a", "a"]) is None
    assert debiased_calibration_error([0.5, 0.9], [0, 1], ["a", "b"]) is not None


def simulated(rng, images, questions, gap, kind):
    confidence, correct, image = answers(rng, images, questions, gap)
    estimate = ESTIMATES[kind](confidence, correct)
    return calibration_error_interval(confidence, correct, image, estimate, kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_calibrated_models_are_held(kind):
    """Where a percentile bootstrap holds none."""
    rng = np.random.default_rng(6)
    found = [simulated(rng, 50, 6, 0.0, kind) for _ in range(100)]
    assert sum(holds(each, 0.0) for each in found) >= 90
    assert all(each.low <= each.estimate <= each.high for each in found)
    # Nor is it wide: four standard errors of an accuracy of 300 answers.
    assert np.mean([each.high for each in found]) < 0.11


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_gap_is_told_from_none(kind):
    rng = np.random.default_rng(7)
    found = [simulated(rng, 100, 6, 0.15, kind) for _ in range(30)]
    assert all(each.low > 0.05 for each in found)
    assert sum(holds(each, 0.15) for each in found) >= 26


def test_there_is_none_of_few_images():
    rng = np.random.default_rng(10)
    assert simulated(rng, 4, 20, 0.1, "uniform") is None
    assert simulated(rng, 5, 20, 0.1, "uniform") is not None
    confidence, correct, image = answers(rng, 6, 5)
    one_side = np.ones(30)
    assert calibration_error_interval(confidence, correct, image, 0.1, paired=one_side) is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("right", [0, 1])
def test_answers_that_are_all_right_or_all_wrong_have_one(kind, right):
    for confidence in (np.full(30, 0.9), np.full(30, 1.0), np.linspace(0.5, 1, 30)):
        correct = np.full(30, right)
        estimate = ESTIMATES[kind](confidence, correct)
        image = np.arange(30) % 10
        found = calibration_error_interval(confidence, correct, image, estimate, kind=kind)
        assert 0 <= found.low <= estimate <= found.high
        assert found.high <= 1
        assert 0 <= debiased_calibration_error(confidence, correct, image) <= 1
