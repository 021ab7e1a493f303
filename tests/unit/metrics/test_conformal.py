"""Conformal sets against MAPIE, by hand, and whether they keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from scipy.special import ndtr
from sklearn.base import BaseEstimator, ClassifierMixin

from vlm_confidence_tasks.metrics.cross_fitted import aps_sets, lac_sets
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


@pytest.mark.parametrize(
    ("scores", "clusters", "coverage", "message"),
    [
        ([], [], 0.9, "shape"),
        ([0.1, np.nan], [0, 1], 0.9, "finite"),
        ([0.1], [0, 1], 0.9, "lengths"),
        ([0.1], [0], 1.0, "coverage"),
    ],
)
def test_bad_input_raises(scores, clusters, coverage, message):
    with pytest.raises(ValueError, match=message):
        conformal_threshold(scores, clusters, coverage)


def exchangeable(images, questions, correlation, repeat, labels=4):
    """Answers whose clean and perturbed scores have one distribution, alike on one image."""
    rng = np.random.default_rng([images, questions, repeat])
    counts = rng.integers(1, questions + 1, images) if questions > 1 else np.ones(images, int)
    image = np.repeat(np.arange(images), counts)
    own, common = rng.standard_normal((2, image.size)), rng.standard_normal(images)[image]
    hard = ndtr(np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
    sides = [
        # The right label, 0, has a probability that is any number in [0, 1].
        np.column_stack([1 - h, *(h[:, None] * np.full(labels - 1, 1 / (labels - 1))).T])
        for h in hard
    ]
    return [
        {
            "image_id": f"{repeat}-{n}",
            "gold": 0,
            "clean": [clean.tolist()],
            "clean_answer": [0],
            "perturbed": [moved.tolist()],
            "perturbed_answer": [0],
            "uniform": float(u),
            "n": 1,
        }
        for n, clean, moved, u in zip(image, *sides, rng.random(image.size), strict=True)
    ]


@pytest.mark.parametrize("questions", [1, 18])
def test_exchangeable_images_are_covered_as_promised(questions):
    found = {(sets, side): [] for sets in (lac_sets, aps_sets) for side in ("clean", "perturbed")}
    images = 500 if questions == 1 else 100
    for repeat in range(200):
        values = exchangeable(images, questions, 0.3, repeat)
        for (sets, side), shares in found.items():
            shares.append(sets(side, values).table().columns["covered"].mean())
    for shares in found.values():
        assert np.mean(shares) == pytest.approx(0.9, abs=0.01)
        assert len(shares) == 200
