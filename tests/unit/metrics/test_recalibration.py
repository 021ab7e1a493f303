"""Temperature and isotonic regression against other implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from vlm_confidence_tasks.metrics.functional.recalibration import (
    LEAST_PROBABILITY,
    apply_temperature,
    fit_temperature,
    isotonic,
)


def drawn(labels, size=400, temperature=2.0, seed=0):
    """Overconfident answers: the right label follows the probabilities at a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 3.0, (size, labels))
    chances = softmax(logits / temperature)
    gold = (rng.random(size)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    return softmax(logits), gold


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def by_torch(probs, gold):
    """The temperature by LBFGS on the cross-entropy of logits / T, as in Guo et al.'s code."""
    logits, target = torch.tensor(np.log(probs)), torch.tensor(gold)
    log_scale = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [log_scale], max_iter=100, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits / log_scale.exp(), target)
        loss.backward()
        return loss

    optimiser.step(closure)
    return float(log_scale.exp().detach())


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_temperature_is_that_of_another_optimiser(labels, temperature):
    probs, gold = drawn(labels, temperature=temperature)
    found = fit_temperature(probs, gold)
    assert found == pytest.approx(by_torch(probs, gold), rel=1e-5)
    assert found == pytest.approx(temperature, rel=0.25)


def test_fewer_labels_are_no_labels_of_probability_0():
    gold = [0] * 26 + [1] * 25
    two = fit_temperature([[0.9, 0.1]] * 51, gold)
    assert fit_temperature([[0.9, 0.1, np.nan]] * 51, gold) == pytest.approx(two)
    # At 56, a label of probability 0 would be likely.
    assert two > 50 and fit_temperature([[0.9, 0.1, 0.0]] * 51, gold) != pytest.approx(two, rel=0.1)
    scaled = apply_temperature([[0.9, 0.1, np.nan]], 3.0)[0]
    assert scaled[:2].sum() == pytest.approx(1) and np.isnan(scaled[2])


@pytest.mark.parametrize("gold", [[0, 0, 0], [1, 1, 1]])
def test_all_right_or_all_wrong_have_no_best_temperature(gold):
    assert fit_temperature([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]], gold) is None


@given(
    st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=5),
    st.floats(0.1, 10),
)
def test_scaling_keeps_the_order_of_labels_and_is_undone(rows, temperature):
    probs = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    scaled = apply_temperature(probs, temperature)
    assert scaled.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    for before, after in zip(probs, scaled, strict=True):
        for i, j in ((0, 1), (0, 2), (1, 2)):
            assert (before[i] - before[j]) * (after[i] - after[j]) >= -1e-12
    # What float32 could not tell from 0 beside 1 is lost.
    if scaled.min() > LEAST_PROBABILITY:
        assert apply_temperature(scaled, 1 / temperature) == pytest.approx(probs, abs=1e-9)


@given(
    st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=40),
    st.lists(st.floats(0, 1), max_size=10),
)
def test_isotonic_is_scikit_learns(pairs, new):
    sure = np.array([k / 10 for k, _ in pairs])
    right = np.array([hit for _, hit in pairs])
    theirs = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(sure, right)
    expected = theirs.predict(np.array(new)) if new else []
    assert isotonic(sure, right, new) == pytest.approx(expected, abs=1e-9)


def test_an_answer_at_exactly_1_is_as_sure_as_float32_can_tell():
    """Of ten such answers one is wrong: odds of 9 = exp(-ln 2^-24 / T)."""
    probs, gold = [[1.0, 0.0]] * 10, [0] * 9 + [1]
    expected = 24 * np.log(2) / np.log(9)
    assert fit_temperature(probs, gold) == pytest.approx(expected)
    assert apply_temperature(probs, expected)[0] == pytest.approx([0.9, 0.1])
