"""Bounds of entropies of which only the likeliest probabilities are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from vlm_confidence_tasks.probe import LabelStep, TopKStep, entropy_bounds, read_top_k

weights = st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=12)


@given(weights, st.data())
def test_the_entropy_lies_between_its_bounds(drawn, data):
    p = np.sort(drawn)[::-1] / np.sum(drawn)
    k = data.draw(st.integers(1, len(p)))
    low, high = entropy_bounds(np.log(p[:k]), len(p))
    assert low - 1e-9 <= entropy(p) <= high + 1e-9
    if k == len(p):
        assert low == high == pytest.approx(entropy(p), abs=1e-9)


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
    likeliest = {7: float(np.log(0.6)), 8: float(np.log(0.3)), 9: float(np.log(0.05))}
    step = TopKStep(7, likeliest[7], likeliest)
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
    with pytest.raises(ValueError, match="at least one step"):
        read_top_k([], [[7]], 100)
