"""Reliability without bins against scikit-learn and model-diagnostics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from vlm_confidence_tasks.metrics import (
    calibration_intercept,
    calibration_slope,
    classwise_calibration_error,
    corp_reliability,
    expected_calibration_error,
)
from vlm_confidence_tasks.metrics.functional.recalibration import LEAST_PROBABILITY

answers = st.lists(
    st.tuples(st.integers(0, 6).map(lambda k: k / 6), st.booleans()), min_size=1, max_size=40
)


def drawn(size=60, seed=0):
    """Confidences that tie, and answers that are right 0.1 less often."""
    rng = np.random.default_rng(seed)
    confidence = np.round(rng.beta(2, 1, size), 1)
    return confidence, rng.random(size) < confidence - 0.1


def test_the_parts_of_the_brier_score_are_those_of_model_diagnostics():
    """`decompose(y_obs, y_pred, scoring_function=SquaredError())` of version 1.4.2."""
    found = corp_reliability(*drawn())
    parts = found.miscalibration, found.discrimination, found.uncertainty
    assert parts == pytest.approx((0.038356, 0.091856, 0.25), abs=5e-7)


@given(answers)
def test_corp_is_isotonic_regression_and_its_parts_add_up(pairs):
    confidence, right = map(np.array, zip(*pairs, strict=True))
    found = corp_reliability(confidence, right)
    theirs = IsotonicRegression().fit(confidence, right).predict(found.confidence)
    assert found.recalibrated == pytest.approx(theirs)
    assert found.count.sum() == right.size and found.miscalibration >= 0 <= found.discrimination
    brier = found.miscalibration - found.discrimination + found.uncertainty
    assert brier == pytest.approx(brier_score_loss(right, confidence, labels=[0, 1]), abs=1e-12)


def test_the_slope_is_that_of_a_logistic_regression_without_penalty():
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.3, 0.999, 500)
    odds = np.log(confidence / (1 - confidence))
    right = rng.random(500) < expit(0.5 * odds - 0.3)
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(odds[:, None], right)
    assert calibration_slope(confidence, right) == pytest.approx(fitted.coef_[0, 0], rel=1e-4)
    # With the slope 1, the chances add up to the right answers.
    shift = calibration_intercept(confidence, right)
    assert expit(odds + shift).sum() == pytest.approx(right.sum()) and shift < -0.5


def test_certain_answers_count_as_those_that_float32_can_tell():
    right = [1] * 7 + [0] * 2 + [1, 0]
    certain = [1.0] * 9 + [0.6] * 2
    bounded = [1.0 - LEAST_PROBABILITY] * 9 + [0.6] * 2
    assert calibration_slope(certain, right) == calibration_slope(bounded, right) > 0
    assert calibration_intercept(certain, right) == calibration_intercept(bounded, right) < -10
    assert LEAST_PROBABILITY == 1.0 - np.nextafter(np.float32(1), np.float32(0))


@pytest.mark.parametrize("right", [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 0, 1]])
def test_a_slope_that_no_answers_bound_is_absent(right):
    sure = [0.6, 0.6, 0.9, 0.9] if sum(right) != 3 else [0.8] * 4
    assert calibration_slope(sure, right) is None
    assert (calibration_intercept(sure, right) is None) == (len(set(right)) == 1)


def test_what_pools_away_between_labels_is_seen_by_label():
    """Of gold 0 answers are right 0.15 too often, of gold 1 as much too rarely."""
    rng = np.random.default_rng(2)
    gold, confidence = rng.integers(0, 2, 40_000), rng.uniform(0.7, 0.85, 40_000)
    right = rng.random(40_000) < confidence + np.where(gold == 0, 0.15, -0.15)
    answer = np.where(right, gold, 1 - gold)
    probs = np.where(answer[:, None] == [0, 1], confidence[:, None], 1 - confidence[:, None])
    assert expected_calibration_error(confidence, right) < 0.02
    assert classwise_calibration_error(probs, gold) > 0.07
    by_label = [expected_calibration_error(probs[:, label], gold == label) for label in (0, 1)]
    assert classwise_calibration_error(probs, gold) == pytest.approx(np.mean(by_label))


def test_a_label_counts_as_often_as_questions_have_it():
    probs, gold = [[0.5, 0.5, np.nan], [0.2, 0.2, 0.6]], [0, 2]
    # Gaps of .5 and .2; .5 and .2; .4: of two questions, two and one.
    expected = (2 * 0.35 + 2 * 0.35 + 1 * 0.4) / 5
    assert classwise_calibration_error(probs, gold) == pytest.approx(expected)
