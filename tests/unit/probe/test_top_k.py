"""Bounds of entropies of which only the likeliest probabilities are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from vlm_confidence_tasks.errors import RequestError
from vlm_confidence_tasks.probe.reading import confidence_bounds
from vlm_confidence_tasks.probe.top_k import (
    TopKStep,
    entropy_bounds,
    read_top_k,
    served_step,
    wanted_top_k,
)

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


@pytest.mark.parametrize("mark", [-9999.0, -np.inf, -3.4e38, -100.0])
@pytest.mark.parametrize("vocabulary", [None, 100, 3])
def test_impossible_tokens_have_probability_0(mark, vocabulary):
    likeliest = [(7, float(np.log(0.7))), (8, float(np.log(0.3))), (9, mark)]
    reading = read_top_k([TopKStep(7, likeliest[0][1], likeliest)], [[7], [8], [9]], vocabulary)
    h = entropy([0.7, 0.3])
    assert reading.finite and reading.token_entropy == pytest.approx([h])
    if vocabulary == 100:
        assert reading.token_entropy_high == pytest.approx([h], abs=1e-6)
    (at,) = reading.label_steps
    assert np.exp(at.logprob) == pytest.approx([0.7, 0.3, 0])
    assert [confidence_bounds(at, n) for n in range(3)] == [
        (pytest.approx(p), pytest.approx(p)) for p in (0.7, 0.3, 0)
    ]
    # Beside a rest, p_k is the least of those that can be.
    likeliest[0] = (7, float(np.log(0.6)))
    low, _ = entropy_bounds([p for _, p in likeliest], None)
    assert low == pytest.approx(entropy([0.6, 0.3, 0.1]))
    with pytest.raises(ValueError, match="every token has probability 0"):
        entropy_bounds([mark], vocabulary)


@pytest.mark.parametrize("total", [0.9995, 1.0001, 1.0005])
def test_sums_that_rounding_moved_are_divided_by(total):
    logits = np.array([3.0, 1.0, -np.inf, 0.5])
    logprob = logits - np.log(np.exp(logits).sum()) + np.log(total)
    likeliest = list(enumerate(logprob.tolist()))
    reading = read_top_k([TopKStep(0, likeliest[0][1], likeliest)], [[0], [1]], 4)
    # As transformers' logits are: entropy of the softmax, and its logarithm.
    p = np.exp(logits) / np.exp(logits).sum()
    assert reading.token_entropy_high is None and reading.finite
    assert reading.token_entropy == pytest.approx([entropy(p)], abs=1e-6)
    assert reading.token_logprob == pytest.approx([np.log(p[0])], abs=1e-6)
    assert reading.label_steps[0].logprob == pytest.approx(np.log(p[:2]), abs=1e-12)


def listed(**p):
    return [(ord(token), float(np.log(value))) for token, value in p.items()]


@pytest.mark.parametrize(
    ("p", "wrong"),
    [
        (0.63, "probability 0.63, and 0.014 in its own list"),
        (1e-9, "probability 1e-09, and 0.014 in its own list"),
        (1.01, "one is 0.00995, above 0"),
    ],
)
def test_a_chosen_token_with_another_probability_in_its_list_is_refused(p, wrong):
    given = listed(a=0.8, b=0.014)
    with pytest.raises(RequestError, match=wrong):
        served_step(ord("b"), float(np.log(p)), given)
    # Two tokens may have the same text.
    assert served_step(ord("b"), float(np.log(0.1)), [*given, *listed(b=0.1)])


def test_a_likely_token_that_is_not_in_its_list_is_refused_and_an_unlikely_one_is_not():
    given = listed(a=0.5, b=0.25)
    for more in ([], [(1, math.log(0.7))]):
        with pytest.raises(RequestError, match="a token and its list have probability 1.5 togeth"):
            served_step(1, math.log(0.7), [(2, math.log(0.8)), *more])
    with pytest.raises(RequestError, match="probability 0.63 is not in its own list .* has 0.25"):
        served_step(ord("c"), float(np.log(0.63)), given)
    for p in (0.25, 0.2, 1e-300):
        assert served_step(ord("c"), float(np.log(p)), given).likeliest == given
    # One that is beyond the list is named by -9999.0: what it has is unknown.
    step = served_step(ord("c"), -9999.0, given)
    reading = read_top_k([step], [[ord("a")], [ord("c")]], None)
    assert reading.finite and reading.token_logprob == [-np.inf]
    # The rest of 0.25 may all be its own.
    assert confidence_bounds(reading.label_steps[0], 1) == (0, pytest.approx(0.25 / 0.75))
    for wrong in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not finite"):
            served_step(ord("c"), wrong, given)


def test_the_bounds_of_a_confidence_by_hand():
    # p_k is 0.1 and 0.2 are not seen: three other tokens of A may hold them all, one of B 0.1.
    given = listed(A=0.6, B=0.1, x=0.1)
    labels = [[ord("A"), 1, 2, 3], [ord("B"), 4], [5]]
    (at,) = read_top_k([TopKStep(ord("A"), given[0][1], given)], labels, None).label_steps
    assert at.unseen == pytest.approx((0.2, 0.1, 0.1)) and at.rest == pytest.approx(0.2)
    assert confidence_bounds(at, 0) == pytest.approx((0.6 / 0.9, 0.8 / 0.9))
    assert confidence_bounds(at, 1) == pytest.approx((0.1 / 0.9, 0.2 / 0.8))
    assert confidence_bounds(at, 2) == pytest.approx((0, 0.1 / 0.8))
    # A chosen token beside the list is known too.
    step = TopKStep(4, float(np.log(0.05)), given)
    (at,) = read_top_k([step], labels, None).label_steps
    assert np.exp(at.logprob) == pytest.approx([0.6, 0.15, 0])
    assert at.unseen == pytest.approx((0.15, 0, 0.1)) and at.rest == pytest.approx(0.15)


@given(weights, st.data())
def test_the_confidence_of_what_completes_the_list_lies_between_its_bounds(drawn, data):
    p = np.sort(drawn)[::-1] / np.sum(drawn)
    k = data.draw(st.integers(1, len(p)))
    owners = [data.draw(st.integers(0, 3)) for _ in p]
    # Spellings that no vocabulary has may be among them.
    labels = [
        [n for n, owner in enumerate(owners) if owner == own] + [99 + own] for own in range(3)
    ]
    likeliest = list(enumerate(np.log(p[:k]).tolist()))
    vocabulary = data.draw(st.sampled_from([None, len(p), len(p) + 3]))
    (at, *_) = read_top_k([TopKStep(0, likeliest[0][1], likeliest)], labels, vocabulary).label_steps
    masses = [math.fsum(p[n] for n in tokens if n < len(p)) for tokens in labels]
    for n, mass in enumerate(masses):
        low, high = confidence_bounds(at, n)
        if sum(masses) > 0:
            assert low - 1e-9 <= mass / sum(masses) <= high + 1e-9


def test_labels_have_the_probability_of_their_seen_tokens():
    likeliest = [(7, float(np.log(0.6))), (8, float(np.log(0.3))), (9, float(np.log(0.05)))]
    step = TopKStep(7, likeliest[0][1], likeliest)
    known = read_top_k([step], [[7], [8, 9]], 100)
    (at,) = known.label_steps
    assert (at.step, at.label) == (0, 0)
    assert np.exp(at.logprob) == pytest.approx([0.6, 0.35])
    assert at.unseen == (0, 0)
    (other,) = read_top_k([step], [[7], [11]], 100).label_steps
    assert other.logprob[1] == -np.inf and other.unseen == pytest.approx((0, 0.05))
    # Another spelling of the second label may hold the rest, 0.05.
    (other,) = read_top_k([step], [[7], [8, 9, 11]], 100).label_steps
    assert np.exp(other.logprob) == pytest.approx([0.6, 0.35])
    assert other.unseen == pytest.approx((0, 0.05))
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
