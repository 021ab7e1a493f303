"""Cutting a row at its end token and finding the answer in it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.probe.reading import label_probabilities, read_row

END = frozenset({2})
YES, NO, OTHER = 10, 20, 30
LABELS = ((YES, 11), (NO,))


def logs(*steps):
    return np.log(np.array(steps, dtype=np.float32))


def row(tokens, label_probs, labels=LABELS, end=END):
    """Read tokens whose entropy at step t is t + 1 and whose log-probability is -(t + 1)."""
    steps = np.arange(1, len(tokens) + 1, dtype=np.float32)
    return read_row(tokens, steps, -steps, logs(*label_probs), labels, end)


def assert_steps(reading, *expected):
    """Compare the label steps with (step, index of the label, probabilities)."""
    found = [(at.step, at.label, np.exp(at.logprob).tolist()) for at in reading.label_steps]
    assert found == [(step, label, pytest.approx(probs)) for step, label, probs in expected]


FIRST = (0.3, 0.2, 0.1)
SECOND = (0.05, 0.05, 0.8)


def test_an_end_token_first_is_measured_itself():
    reading = row([2, 0, 0], [FIRST, SECOND, SECOND])
    assert reading.tokens == ()
    assert reading.token_entropy.tolist() == [1]
    assert reading.token_logprob.tolist() == [-1]
    assert_steps(reading, (0, None, [0.5, 0.1]))


def test_the_first_step_and_each_that_begins_a_label_are_measured():
    reading = row([OTHER, NO, YES, 2], [FIRST, SECOND, FIRST, FIRST])
    assert_steps(reading, (0, None, [0.5, 0.1]), (1, 1, [0.1, 0.8]), (2, 0, [0.5, 0.1]))
    assert reading.token_entropy.tolist() == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_numbers_are_detected(value):
    bad = np.array([value], dtype=np.float32)
    good = np.array([0.5], dtype=np.float32)
    labels = logs(FIRST)
    assert not read_row([YES], bad, good, labels, LABELS, END).finite
    assert not read_row([YES], good, bad, labels, LABELS, END).finite
    assert not read_row([YES], good, good, np.full_like(labels, value), LABELS, END).finite


def test_non_finite_numbers_after_the_end_are_ignored():
    values = np.array([0.5, math.nan], dtype=np.float32)
    assert read_row([2, 0], values, values, logs(FIRST, FIRST), LABELS, END).finite


TOKENS = st.integers(0, 12)
PROBS = st.floats(2.0**-90, 1.0, width=32)


@st.composite
def rows(draw):
    length = draw(st.integers(1, 8))
    tokens = draw(st.lists(TOKENS, min_size=length, max_size=length))
    pool = draw(st.permutations(range(13)))
    sizes = draw(st.lists(st.integers(1, 3), max_size=4))
    labels, at = [], 0
    for size in sizes:
        labels.append(tuple(pool[at : at + size]))
        at += size
    width = at + draw(st.integers(0, 2))
    probs = [[draw(PROBS) for _ in range(width)] for _ in range(length)]
    values = [draw(PROBS) for _ in range(length)]
    ends = frozenset(draw(st.sets(TOKENS, max_size=2)))
    return tokens, np.array(values, np.float32), np.array(probs, np.float32), labels, ends


@given(rows())
def test_read_row_equals_a_naive_loop(case):
    tokens, values, probs, labels, ends = case
    reading = read_row(tokens, values, -values, np.log(probs), labels, ends)

    answer_tokens = []
    for token in tokens:
        if token in ends:
            break
        answer_tokens.append(token)
    begun = []
    for t, token in enumerate(answer_tokens or [None]):
        labels_of = [index for index, spelled in enumerate(labels) if token in spelled]
        if labels_of or t == 0:
            begun.append((t, labels_of[0] if labels_of else None))

    assert reading.tokens == tuple(answer_tokens)
    assert [(at.step, at.label) for at in reading.label_steps] == begun
    assert reading.token_entropy.tolist() == values.tolist()[: max(1, len(answer_tokens))]
    assert reading.token_logprob.tolist() == (-values).tolist()[: max(1, len(answer_tokens))]
    for at in reading.label_steps:
        expected, column = [], 0
        for spelled in labels:
            total = 0.0
            for _ in spelled:
                total += float(probs[at.step][column])
                column += 1
            expected.append(math.log(total))
        assert at.logprob == pytest.approx(expected, abs=1e-5)


def test_label_probabilities_where_the_sum_underflows():
    probs, mass = label_probabilities([-2000.0, -2000.0 - math.log(3)])
    assert probs == pytest.approx([0.75, 0.25])
    assert mass == 0


@given(st.lists(st.floats(-80, 0), min_size=2, max_size=5))
def test_label_probabilities_are_probabilities(logprob):
    probs, mass = label_probabilities(logprob)
    assert sum(probs) == pytest.approx(1)
    assert all(0 <= p <= 1 for p in probs)
    assert 0 <= mass <= 1


def test_the_answer_mass_is_clipped_to_one():
    rounded = np.log(np.array([0.5, 0.25, 0.25], dtype=np.float32)) + np.float32(1e-7)
    _, mass = label_probabilities(rounded.tolist())
    assert mass == 1
