"""Bounds of entropies of which only the likeliest probabilities are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from vlm_confidence_tasks.probe import LabelStep
from vlm_confidence_tasks.probe.top_k import TopKStep, entropy_bounds, read_top_k, wanted_top_k

weights = st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=12)


@given(weights, st.data())
def test_the_entropy_lies_between_its_bounds(drawn, data):
    p = np.sort(drawn)[::-1] / np.sum(drawn)
    k = data.draw(st.integers(1, len(p)))
    low, high = entropy_bounds(np.log(p[:k]), len(p))
    assert low - 1e-9 <= entropy(p) <= high + 1e-9
    if k == len(p):
        assert low == high == pytest.approx(entropy(p), abs=1e-9)


@given(weights, st.data())
def test_without_the_size_of_the_vocabulary_only_the_lower_bound_is_known(drawn, data):
    p = np.sort(drawn)[::-1] / np.sum(drawn)
    k = data.draw(st.integers(1, len(p)))
    low, high = entropy_bounds(np.log(p[:k]), None)
    assert low <= entropy(p) + 1e-9 and high == np.inf
    # As much as for a vocabulary without end.
    assert low == pytest.approx(entropy_bounds(np.log(p[:k]), 10**9)[0], abs=1e-9)


@pytest.mark.parametrize("known", [[0.5, 0.25], [0.6, 0.2, 0.05]])
def test_the_bounds_are_reached(known):
    smallest, rest, unknown = known[-1], 1 - sum(known), 10
    whole = int(rest / smallest + 1e-9)
    low, high = entropy_bounds(np.log(known), len(known) + unknown)
    left = max(rest - whole * smallest, 0.0)
    assert low == pytest.approx(entropy([*known, *[smallest] * whole, left]), abs=1e-9)
    assert high == pytest.approx(entropy([*known, *[rest / unknown] * unknown]), abs=1e-9)


@pytest.mark.parametrize(
    ("known", "vocabulary", "message"),
    [
        ([], 4, "expected 1 to 4"),
        ([0.5, 0.3, 0.2], 2, "expected 1 to 2"),
        ([0.9, 0.2], 4, "sum to 1.1"),
        # Two others of at most 0.1 each cannot be the rest, 0.6.
        ([0.3, 0.1], 4, "do not fill the rest"),
        ([0.3, 0.3], 2, "do not fill the rest"),
    ],
)
def test_what_is_no_distribution_is_refused(known, vocabulary, message):
    with pytest.raises(ValueError, match=message):
        entropy_bounds(np.log(known), vocabulary)


def test_labels_have_probabilities_only_where_all_are_known():
    likeliest = [(7, float(np.log(0.6))), (8, float(np.log(0.3))), (9, float(np.log(0.05)))]
    step = TopKStep(7, likeliest[0][1], likeliest)
    known = read_top_k([step], [[7], [8, 9]], 100)
    (at,) = known.label_steps
    assert (at.step, at.label) == (0, 0)
    assert np.exp(at.logprob) == pytest.approx([0.6, 0.35])
    assert read_top_k([step], [[7], [11]], 100).label_steps == (LabelStep(0, 0, ()),)
    # Another spelling of the second label may hold the rest, 0.05.
    assert read_top_k([step], [[7], [8, 9, 11]], 100).label_steps == (LabelStep(0, 0, ()),)
    later = read_top_k([TopKStep(5, -4.0, likeliest), step], [[7], [8, 9]], 100).label_steps
    assert [(at.step, at.label) for at in later] == [(0, None), (1, 0)]
    assert later[0].logprob == later[1].logprob == at.logprob
    # Servers name tokens by their text: two with the same are two.
    twice = [(7, float(np.log(0.4))), (7, float(np.log(0.3))), (8, float(np.log(0.25)))]
    (at,) = read_top_k([TopKStep(7, twice[0][1], twice)], [[7], [8]], 100).label_steps
    assert np.exp(at.logprob) == pytest.approx([0.7, 0.25])
    with pytest.raises(ValueError, match="at least one step"):
        read_top_k([], [[7]], 100)


def test_a_bound_that_is_unknown_is_no_fault_and_one_that_is_nan_is():
    step = TopKStep(7, float(np.log(0.6)), [(7, float(np.log(0.6))), (8, float(np.log(0.3)))])
    reading = read_top_k([step], [[7], [8]], None)
    assert reading.finite and reading.token_entropy_high.tolist() == [np.inf]
    for wrong in (np.nan, -np.inf):
        assert not replace(reading, token_entropy_high=np.array([wrong], np.float32)).finite
    with pytest.raises(ValueError, match="not finite"):
        read_top_k([replace(step, likeliest=[(7, float("nan"))])], [[7], [8]], 100)


@pytest.mark.parametrize(("said", "k"), [("", None), ("5", 5), ("20", 20), ("all", -1)])
def test_the_user_says_how_many_tokens_are_asked_for(said, k, monkeypatch):
    monkeypatch.setenv("VLM_CONFIDENCE_TOP_LOGPROBS", said)
    assert wanted_top_k() == k


@pytest.mark.parametrize("said", ["0", "-1", "many", "2.5", "²"])
def test_what_is_no_number_of_tokens_is_refused(said, monkeypatch):
    monkeypatch.setenv("VLM_CONFIDENCE_TOP_LOGPROBS", said)
    with pytest.raises(ValueError, match=f"TOP_LOGPROBS is '{said}', expected a whole"):
        wanted_top_k()
