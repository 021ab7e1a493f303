"""Two signals joined, against scikit-learn; answering only above a threshold."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from vlm_confidence_tasks.metrics.functional.cross_fitting import second_half
from vlm_confidence_tasks.metrics.functional.error_detection import best_pair, logistic_pair
from vlm_confidence_tasks.metrics.functional.selective import acceptance_threshold


def drawn(size=500, seed=0):
    rng = np.random.default_rng(seed)
    wrong = rng.random(size) < 0.2
    signals = rng.normal(size=(size, 3)) + np.outer(wrong, [0.3, 1.5, 1.0])
    return signals * [1.0, 100.0, 0.01], wrong


def by_sklearn(signals, wrong, pair):
    rows = StandardScaler().fit_transform(signals[:, pair])
    return LogisticRegression(tol=1e-10).fit(rows, wrong).predict_proba(rows)[:, 1]


def test_the_fit_is_scikit_learns_with_its_default_penalty():
    signals, wrong = drawn()
    for pair in combinations(range(3), 2):
        found, expected = logistic_pair(signals, wrong, pair), by_sklearn(signals, wrong, pair)
        assert found.chance(signals) == pytest.approx(expected, abs=1e-5)
        assert found.loss == pytest.approx(log_loss(wrong, expected), abs=1e-6)


def test_the_best_pair_has_the_least_loss():
    signals, wrong = drawn()
    losses = {
        pair: log_loss(wrong, by_sklearn(signals, wrong, pair))
        for pair in combinations(range(3), 2)
    }
    assert tuple(best_pair(signals, wrong).columns) == min(losses, key=losses.get) == (1, 2)


def test_errors_that_are_told_apart_perfectly_have_a_fit():
    signals = np.column_stack([np.arange(10.0), np.ones(10)])
    found = best_pair(signals, np.arange(10) >= 5)
    assert np.isfinite(found.weights).all() and (np.diff(found.chance(signals)) > 0).all()


def test_one_class_or_one_signal_has_no_pair():
    signals, wrong = drawn(20)
    assert best_pair(signals, np.zeros(20)) is None and best_pair(signals, np.ones(20)) is None
    assert best_pair(signals[:, :1], wrong) is None


@given(
    st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=40),
    st.integers(1, 100).map(lambda k: k / 100),
)
def test_a_threshold_accepts_what_it_should_and_a_greater_one_would_not(confidences, coverage):
    column = np.array(confidences)
    threshold = acceptance_threshold(column, coverage)
    assert threshold in confidences
    assert np.mean(column >= threshold) >= coverage - 1e-12
    assert np.mean(column > threshold) < coverage


def test_halves_are_of_images_alone_and_about_equal():
    names = [f"COCO_val2014_{n:012}.jpg" for n in range(4000)]
    halves = second_half(names)
    assert halves.mean() == pytest.approx(0.5, abs=0.03)
    picked = [3, 1, 3, 2000]
    assert (second_half([names[n] for n in picked]) == halves[picked]).all()
