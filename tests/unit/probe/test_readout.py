"""From what was read to the record that metrics use."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.probe import LabelStep, Reading, make_readout, max_width
from vlm_confidence_tasks.types import CLEAN, Question

QUESTION = Question("1", "image", "Is it?", ("Yes", "No"), gold="No")
LETTERS = Question("1", "image", "Which?", ("A", "B", "C"), gold="B")
CAPTION = Question("1", "image", "Describe it.")
OF_LABELS = ("probs", "answer_mass", "confidence", "margin", "gold_margin")


def reading(*probs, step=0, **more):
    """Read one step, whose token begins the first label unless `step` is None."""
    label = None if step is None else 0
    return Reading(
        tokens=(5, 6),
        token_entropy=np.array([1.0, 3.0], np.float32),
        token_logprob=np.array([-0.5, -1.0], np.float32),
        **more,
        label_steps=(LabelStep(step or 0, label, tuple(map(math.log, probs))),),
    )


def readout(question, answer, read, known=True):
    position = read.label_steps[0] if read is not None and known else None
    correct = answer == question.gold
    return make_readout(question, CLEAN, "digest", "text", answer, correct, read, position)


def test_readout_by_hand():
    record = readout(QUESTION, "Yes", reading(0.6, 0.2))
    assert record.token_entropy == (1.0, 3.0)
    assert record.entropy == 2
    assert record.logprob == -0.75
    assert record.probs == pytest.approx({"Yes": 0.75, "No": 0.25})
    assert record.answer_mass == pytest.approx(0.8)
    assert record.answer_step == 0
    assert record.confidence == pytest.approx(0.75)
    assert record.margin == pytest.approx(math.log(3))
    assert record.gold_margin == pytest.approx(-math.log(3))


def test_gold_margin_is_against_the_best_other_label():
    record = readout(LETTERS, "C", reading(0.1, 0.3, 0.5))
    assert record.margin == pytest.approx(math.log(0.5 / 0.3))
    assert record.gold_margin == pytest.approx(math.log(0.3 / 0.5))
    assert readout(LETTERS, "B", reading(0.1, 0.8, 0.05)).gold_margin == pytest.approx(math.log(8))


def test_confidence_is_that_of_the_answer_even_if_another_label_is_likelier():
    assert readout(LETTERS, "A", reading(0.1, 0.3, 0.6)).confidence == pytest.approx(0.1)


def test_an_unparsed_answer_lacks_only_confidence():
    record = readout(QUESTION, None, reading(0.6, 0.2, step=None))
    assert record.confidence is None
    assert record.answer_step is None and record.entropy_answer is None
    assert not record.position_unknown
    assert record.probs == pytest.approx({"Yes": 0.75, "No": 0.25})
    assert record.margin == pytest.approx(math.log(3))


def test_a_tie_has_margin_zero():
    assert readout(QUESTION, "Yes", reading(0.4, 0.4)).margin == 0


def test_margins_are_exact_if_probabilities_underflow():
    position = LabelStep(0, 0, (-900.0, -1700.0))
    record = make_readout(
        QUESTION,
        CLEAN,
        "digest",
        "Yes",
        "Yes",
        False,
        Reading((5,), np.ones(1, np.float32), -np.ones(1, np.float32), (position,)),
        position,
    )
    assert record.margin == 800
    assert record.gold_margin == -800
    assert record.probs == {"Yes": 1.0, "No": 0.0}
    assert record.answer_mass == 0


def test_a_caption_has_entropies_only():
    record = readout(CAPTION, None, reading(step=None))
    assert record.entropy == 2
    assert not record.position_unknown
    for name in (*OF_LABELS, "answer_step", "entropy_answer"):
        assert getattr(record, name) is None


def test_an_unknown_position_leaves_out_what_is_read_there_and_says_so():
    record = readout(QUESTION, "Yes", reading(0.6, 0.2), known=False)
    assert record.position_unknown
    assert (record.answer, record.entropy) == ("Yes", 2)
    for name in (*OF_LABELS, "answer_step", "entropy_answer"):
        assert getattr(record, name) is None


@pytest.mark.parametrize(("step", "entropy"), [(0, 1.0), (1, 3.0)])
def test_the_entropy_at_the_answer_is_that_of_its_step(step, entropy):
    record = readout(QUESTION, "Yes", reading(0.6, 0.2, step=step))
    assert (record.answer_step, record.entropy_answer) == (step, entropy)
    assert not record.position_unknown


@pytest.mark.parametrize(("step", "entropy"), [(0, pytest.approx(1.00025)), (1, None)])
def test_bounds_give_the_entropy_at_the_answer_where_they_are_near(step, entropy):
    high = np.array([1.0005, 3.1], np.float32)
    record = readout(QUESTION, "Yes", reading(0.6, 0.2, step=step, token_entropy_high=high))
    assert (record.answer_step, record.entropy_answer) == (step, entropy)


def bounded(*probs, unseen, rest, question=QUESTION, answer="Yes", **more):
    """A readout of an engine that returns the likeliest tokens; 0 is a label that was not seen."""
    logprob = tuple(math.log(p) if p else -math.inf for p in probs)
    step = LabelStep(0, 0, logprob, unseen, rest)
    high = np.array([2.0, 4.0], np.float32)
    read = replace(reading(), label_steps=(step,), token_entropy_high=high)
    assert read.finite
    return make_readout(question, CLEAN, "digest", "text", answer, True, read, step, **more)


@pytest.mark.parametrize(
    ("unseen", "rest", "low", "high", "sure"),
    [
        # Seen: p(Yes) = 0.6 of 0.8.
        ((0.0, 0.0), 0.2, 0.75, 0.75, True),
        ((0.02, 0.01), 0.03, 0.6 / 0.81, 0.62 / 0.82, True),
        ((0.05, 0.05), 0.05, 0.6 / 0.85, 0.65 / 0.85, False),
        # Two tokens of 0.03 each cannot both be there.
        ((0.03, 0.03), 0.03, 0.6 / 0.83, 0.63 / 0.83, True),
    ],
)
def test_a_confidence_is_of_the_seen_tokens_within_its_bounds(unseen, rest, low, high, sure):
    record = bounded(0.6, 0.2, unseen=unseen, rest=rest)
    assert record.confidence_low == pytest.approx(low)
    assert record.confidence_high == pytest.approx(high)
    assert record.confidence == (pytest.approx(0.75) if sure else None)
    # All labels' probabilities are given only where next to nothing is open.
    assert (record.probs is not None) == (max(unseen) == 0)
    wide = bounded(0.6, 0.2, unseen=unseen, rest=rest, widest=0.1)
    assert wide.confidence == pytest.approx(0.75)


def test_a_label_that_was_not_seen_leaves_no_probabilities_and_one_that_cannot_be_has_none():
    record = bounded(0.98, 0, unseen=(0.01, 0.01), rest=0.01)
    assert record.confidence == 1 and record.confidence_low == pytest.approx(0.98 / 0.99)
    assert record.probs is None and record.margin is None and record.gold_margin is None
    # What is left may be next to nothing: p(No) is still not 0.
    assert bounded(0.98, 0, unseen=(1e-9, 1e-9), rest=1e-9).probs is None
    record = bounded(0.98, 0, unseen=(0.0, 0.0), rest=0.02)
    assert record.probs == {"Yes": 1, "No": 0} and record.margin is record.gold_margin is None


def test_without_any_label_among_the_likeliest_nothing_is_known():
    record = bounded(0, 0, unseen=(0.1, 0.1), rest=0.1)
    assert record.confidence is record.probs is None
    assert (record.confidence_low, record.confidence_high) == (0, 1)
    record = bounded(0.6, 0.2, unseen=(0.0, 0.0), rest=0.2, answer=None)
    assert record.confidence_low is record.confidence is None and record.probs is not None


def test_labels_of_next_to_no_probability_are_open_even_if_as_little_is_unseen():
    record = bounded(2e-4, 1e-4, unseen=(1e-3, 1e-3), rest=0.5)
    assert record.probs is record.confidence is None and record.confidence_high > 0.9


def test_a_mean_log_probability_over_a_token_beyond_the_list_is_absent():
    high = np.array([2.0, 4.0], np.float32)
    logprob = np.array([-0.5, -np.inf], np.float32)
    read = replace(reading(0.6, 0.2), token_logprob=logprob)
    assert not read.finite
    read = replace(read, token_entropy_high=high)
    assert read.finite and readout(QUESTION, "Yes", read).logprob is None


@pytest.mark.parametrize(("said", "width"), [("", 0.05), ("0", 0), ("0.2", 0.2), ("1", 1)])
def test_the_user_says_how_wide_a_confidence_may_be(said, width, monkeypatch):
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_WIDTH", said)
    assert max_width() == width


@pytest.mark.parametrize("said", ["-0.1", "1.5", "nan", "wide"])
def test_what_is_no_width_is_refused(said, monkeypatch):
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_WIDTH", said)
    with pytest.raises(TaskError, match=f"MAX_WIDTH is '{said}', expected a number from 0 to 1"):
        max_width()


def test_no_right_answer_no_gold_margin():
    question = Question("1", "image", "Is it?", ("Yes", "No"))
    assert readout(question, "Yes", reading(0.6, 0.2)).gold_margin is None


def test_without_logits_every_measure_is_none():
    record = readout(QUESTION, "No", None)
    assert (record.text, record.answer, record.correct) == ("text", "No", True)
    for name in ("entropy", "token_entropy", "logprob", "probs", "confidence", "margin"):
        assert getattr(record, name) is None
