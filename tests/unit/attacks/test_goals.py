"""Losses against formulas written out, and their conditions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.attacks.goals import entropies, judge, label_logprobs, margin

LABELS = ((0, 1), (2,), (4, 5))
logits = st.lists(st.floats(-8, 8), min_size=7, max_size=7)


def distribution(numbers):
    return torch.log_softmax(torch.tensor(numbers, dtype=torch.float64), 0)


@given(logits, st.integers(0, 2))
def test_margin_and_entropy_are_their_formulas(numbers, label):
    logprob = distribution(numbers)
    p = np.exp(logprob.numpy())
    sums = [p[list(tokens)].sum() for tokens in LABELS]
    best = max(s for n, s in enumerate(sums) if n != label)
    found = margin(label_logprobs(logprob, LABELS), label)
    assert float(found) == pytest.approx(math.log(sums[label]) - math.log(best), abs=1e-9)
    assert float(entropies(logprob)) == pytest.approx(-sum(x * math.log(x) for x in p), abs=1e-9)


@pytest.mark.parametrize(
    ("goal", "lead", "allowed", "value", "loss"),
    [
        ("flip", 1.5, True, 1.5, 1.5),
        ("flip", -1.5, True, -1.5, -1.5),
        ("sure", 1.5, False, "H", 1.5),
        ("sure", -1.5, True, "H", 0),
        ("unsure", 1.5, True, "-H", 0),
        ("unsure", -1.5, False, "-H", 1.5),
        ("hidden", 1.5, True, 0.25, 0),
        ("hidden", -1.5, False, 0.25, 1.5),
    ],
)
def test_goals(goal, lead, allowed, value, loss):
    logprob = distribution([1.0, 2.0, 0.0, 0.5, -1.0, 0.3, 0.2])
    named = {"H": float(entropies(logprob)), "-H": -float(entropies(logprob))}
    found = judge(goal, logprob, torch.tensor(lead), torch.tensor(0.25))
    expected = named.get(value, value)
    assert found.allowed is allowed
    assert float(found.value) == pytest.approx(expected)
    missing = float(found.loss) - (0 if goal == "flip" else float(found.value))
    assert missing == pytest.approx(loss)


@pytest.mark.parametrize(("goal", "cosine"), [("best", 0.5), ("hidden", None)])
def test_goals_that_cannot_be_judged(goal, cosine):
    given = None if cosine is None else torch.tensor(cosine)
    with pytest.raises(ValueError, match=f"goal '{goal}' cannot be judged; known: flip"):
        judge(goal, distribution([0.0] * 7), torch.tensor(1.0), given)
