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


def by_mapie(score, clean, gold, new):
    model = Given().fit(clean, gold)
    mapie = SplitConformalClassifier(
        model, confidence_level=0.9, conformity_score=score, prefit=True, random_state=0
    ).conformalize(clean, gold)
    randomised = {"include_last_label": "randomized"} if score == "aps" else None
    return mapie.predict_set(new, conformity_score_params=randomised)[1][:, :, 0]


def ours(score, clean, gold, new):
    right = score(clean)[np.arange(len(gold)), gold]
    return score(new) <= conformal_threshold(right, np.arange(len(gold)))


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("size", [50, 101, 400])
def test_lac_sets_are_mapies(size, labels):
    clean, gold = drawn(size, labels, 0)
    new, _ = drawn(200, labels, 1)
    assert (ours(lac_scores, clean, gold, new) == by_mapie("lac", clean, gold, new)).all()


def test_aps_sets_have_mapies_coverage_and_size():
    clean, gold = drawn(2000, 4, 0)
    new, truth = drawn(4000, 4, 1)
    theirs = by_mapie("aps", clean, gold, new)
    # Its draws for the clean answers are to take off a share of the label, ours to add one.
    drawn_there = 1.0 - np.random.RandomState(0).uniform(size=2000)
    right = aps_scores(clean, drawn_there)[np.arange(2000), gold]
    scores = aps_scores(new, np.random.default_rng(2).random(4000))
    found = scores <= conformal_threshold(right, np.arange(2000))
    for sets in (found, theirs):
        assert sets[np.arange(4000), truth].mean() == pytest.approx(0.9, abs=0.02)
    assert found.sum(axis=1).mean() == pytest.approx(theirs.sum(axis=1).mean(), abs=0.03)


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
