"""From what was read to the record that metrics use."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vlm_confidence_tasks.probe import Reading, make_readout
from vlm_confidence_tasks.types import CLEAN, Question

QUESTION = Question("1", "image", "Is it?", ("Yes", "No"), gold="No")
LETTERS = Question("1", "image", "Which?", ("A", "B", "C"), gold="B")
CAPTION = Question("1", "image", "Describe it.")


def reading(*probs, step=0):
    return Reading(
        tokens=(5, 6),
        token_entropy=np.array([1.0, 3.0], np.float32),
        token_logprob=np.array([-0.5, -1.0], np.float32),
        label_logprob=tuple(map(math.log, probs)),
        answer_step=step,
    )


def readout(question, answer, read):
    return make_readout(question, CLEAN, "digest", "text", answer, answer == question.gold, read)


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
    assert record.answer_step is None
    assert record.probs == pytest.approx({"Yes": 0.75, "No": 0.25})
    assert record.margin == pytest.approx(math.log(3))


def test_a_tie_has_margin_zero():
    assert readout(QUESTION, "Yes", reading(0.4, 0.4)).margin == 0


def test_margins_are_exact_if_probabilities_underflow():
    record = make_readout(
        QUESTION,
        CLEAN,
        "digest",
        "Yes",
        "Yes",
        False,
        Reading((5,), np.ones(1, np.float32), -np.ones(1, np.float32), (-900.0, -1700.0), 0),
    )
    assert record.margin == 800
    assert record.gold_margin == -800
    assert record.probs == {"Yes": 1.0, "No": 0.0}
    assert record.answer_mass == 0


def test_a_caption_has_entropies_only():
    record = make_readout(CAPTION, CLEAN, "digest", "A dog.", None, None, reading(step=None))
    assert record.entropy == 2
    assert record.correct is None
    for name in ("probs", "answer_mass", "confidence", "margin", "gold_margin", "answer_step"):
        assert getattr(record, name) is None


def test_no_right_answer_no_gold_margin():
    question = Question("1", "image", "Is it?", ("Yes", "No"))
    assert readout(question, "Yes", reading(0.6, 0.2)).gold_margin is None


def test_without_logits_every_measure_is_none():
    record = readout(QUESTION, "No", None)
    assert (record.text, record.answer, record.correct) == ("text", "No", True)
    for name in ("entropy", "token_entropy", "logprob", "probs", "confidence", "margin"):
        assert getattr(record, name) is None


def test_a_readout_is_serialised_as_json():
    import json

    record = readout(QUESTION, "Yes", reading(0.6, 0.2)).to_dict()
    assert json.loads(json.dumps(record)) == record
