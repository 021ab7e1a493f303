"""Conformal sets against MAPIE and by hand; statistics/test_refitted.py measures coverage."""

from __future__ import annotations

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from vlm_confidence_tasks.metrics.functional.conformal import (
    aps_scores,
    conformal_threshold,
    lac_scores,
)


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are its inputs."""

    def fit(self, X, y):
        self.classes_ = np.arange(X.shape[1])
        return self

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return X.argmax(axis=1)


def drawn(size, labels, seed):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(labels, 0.5), size)
    mixed = 0.7 * probs + 0.3 / labels
    return probs, (rng.random(size)[:, None] > mixed.cumsum(axis=1)).sum(axis=1)


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("size", [50, 101, 400])
def test_lac_sets_are_mapies(size, labels):
    clean, gold = drawn(size, labels, 0)
    new, _ = drawn(200, labels, 1)
    model = Given().fit(clean, gold)
    mapie = SplitConformalClassifier(model, 0.9, "lac", prefit=True).conformalize(clean, gold)
    right = lac_scores(clean)[np.arange(size), gold]
    ours = lac_scores(new) <= conformal_threshold(right, np.arange(size))
    assert (ours == mapie.predict_set(new)[1][:, :, 0]).all()


def test_aps_scores_by_hand():
    scores = aps_scores([[0.2, 0.5, 0.3, np.nan]], [0.25])[0]
    assert scores[:3] == pytest.approx([0.8 + 0.05, 0.125, 0.5 + 0.075])
    assert np.isnan(scores[3])


def test_a_label_that_is_none_is_in_no_set():
    scores = lac_scores([[0.6, 0.4, np.nan]])
    assert (scores <= 1.0).tolist() == [[True, True, False]]


def test_thresholds_by_hand():
    scores = np.arange(1, 20) / 100
    images = np.arange(19)
    # ceil(20 * .9) = 18th of 19; of 9, ceil(10 * .9) = the greatest.
    assert conformal_threshold(scores, images) == 0.18
    assert conformal_threshold(scores[:9], images[:9]) == 0.09
    assert conformal_threshold(scores[:8], images[:8]) is None


def test_many_questions_on_few_images_promise_nothing():
    assert conformal_threshold(np.arange(100) / 100, np.arange(100) % 8) is None
    assert conformal_threshold(np.arange(100) / 100, np.arange(100) % 9) is not None
