import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from vlm_confidence_tasks.metrics import (
    augrc,
    aurc,
    auroc,
    excess_aurc,
    prediction_rejection_ratio,
    risk_coverage_curve,
)

scores = st.integers(0, 6).map(lambda k: k / 6)  # few values, so that ties are common
answers = st.lists(st.tuples(scores, st.booleans()), min_size=1, max_size=40)


def columns(pairs):
    return np.array([c for c, _ in pairs]), np.array([hit for _, hit in pairs])


@given(answers)
def test_auroc_equals_sklearn_and_the_pairs(pairs):
    score, positive = columns(pairs)
    if positive.all() or not positive.any():
        assert auroc(score, positive) is None
        return
    assert auroc(score, positive) == pytest.approx(roc_auc_score(positive, score))
    wins = [(s > t) + (s == t) / 2 for s, t in itertools.product(score[positive], score[~positive])]
    assert auroc(score, positive) == pytest.approx(np.mean(wins))
    assert auroc(-score, positive) == pytest.approx(1 - auroc(score, positive))
    assert auroc(*columns(pairs * 3)) == pytest.approx(auroc(score, positive))


def naive_aurc(confidence, correct):
    order = np.argsort(-confidence, kind="stable")
    wrong = ~correct[order]
    return np.mean([wrong[:k].mean() for k in range(1, len(wrong) + 1)])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, unique_by=lambda p: p[0]))
def test_aurc_without_ties_equals_a_naive_loop(pairs):
    assert aurc(*columns(pairs)) == pytest.approx(naive_aurc(*columns(pairs)))


@given(
    st.lists(
        st.tuples(st.integers(0, 2).map(lambda k: k / 2), st.booleans()), min_size=1, max_size=5
    )
)
def test_aurc_with_ties_is_the_mean_over_their_orders(pairs):
    orders = [naive_aurc(*columns(order)) for order in itertools.permutations(pairs)]
    assert aurc(*columns(pairs)) == pytest.approx(np.mean(orders))


def test_risk_coverage_hand_worked():
    curve = risk_coverage_curve([0.9, 0.8, 0.8, 0.1], [1, 0, 1, 0])
    assert curve.threshold.tolist() == [0.9, 0.8, 0.1]
    assert curve.coverage.tolist() == [0.25, 0.75, 1.0]
    assert curve.risk == pytest.approx([0, 1 / 3, 1 / 2])
    assert curve.count.tolist() == [1, 2, 1] and curve.wrong.tolist() == [0, 1, 1]
    # Half an error at the second and third answer: 0, .5/2, 1/3, 2/4.
    assert aurc([0.9, 0.8, 0.8, 0.1], [1, 0, 1, 0]) == pytest.approx((1 / 4 + 1 / 3 + 1 / 2) / 4)


def rejection_area(certainty, quality):
    """lm-polygraph's PredictionRejectionArea: mean quality of the k surest, over all k."""
    order = np.argsort(-certainty, kind="stable")
    return np.mean(np.cumsum(quality[order]) / np.arange(1, quality.size + 1))


def test_the_rejection_ratio_is_that_of_lm_polygraph():
    rng = np.random.default_rng(0)
    sure = rng.permutation(200) / 200
    right = rng.random(200) < sure
    oracle = rejection_area(right + 0.0, right)
    # Its random order is the mean over 1,000 shuffles; here in the limit.
    expected = (rejection_area(sure, right) - right.mean()) / (oracle - right.mean())
    assert prediction_rejection_ratio(sure, right) == pytest.approx(expected)
    assert excess_aurc(sure, right) == pytest.approx(oracle - rejection_area(sure, right))
    assert prediction_rejection_ratio(sure, right) > 0.2
    assert prediction_rejection_ratio([0.1, 0.9], [1, 1]) is None


@given(answers)
def test_augrc_is_what_auroc_and_accuracy_make_it(pairs):
    score, right = columns(pairs)
    a, ranked = right.mean(), auroc(score, right)
    expected = (1 - a) ** 2 / 2 + (0 if ranked is None else (1 - ranked) * a * (1 - a))
    assert augrc(score, right) == pytest.approx(expected)
    # By trapezoids over the share of answers given (Traub et al. 2024, equation 6).
    curve = risk_coverage_curve(score, right)
    given = np.append(0, curve.coverage)
    assert augrc(score, right) == pytest.approx(
        np.trapezoid(np.append(0, curve.risk * curve.coverage), given)
    )
