"""From what was read to the record that metrics use."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from vlm_confidence_tasks.probe import LabelStep, Reading, make_readout
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


def test_labels_that_the_likeliest_tokens_do_not_settle_have_no_probabilities():
    record = readout(QUESTION, "Yes", replace(reading(), label_steps=(LabelStep(1, 0, ()),)))
    assert record.probs is None and record.confidence is None
    assert record.answer_step == 1 and not record.position_unknown


def test_no_right_answer_no_gold_margin():
    question = Question("1", "image", "Is it?", ("Yes", "No"))
    assert readout(question, "Yes", reading(0.6, 0.2)).gold_margin is None


def test_without_logits_every_measure_is_none():
    record = readout(QUESTION, "No", None)
    assert (record.text, record.answer, record.correct) == ("text", "No", True)
    for name in ("entropy", "token_entropy", "logprob", "probs", "confidence", "margin"):
        assert getattr(record, name) is None
