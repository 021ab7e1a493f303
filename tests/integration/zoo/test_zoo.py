"""Every family on its stock adapter: what the probe reads is what the logits say."""

from __future__ import annotations

import math

import pytest

from . import FAMILIES
from .watching import DOCUMENTS, numbers

RUNS = [(name, False) for name in FAMILIES] + [
    (name, True) for name, family in FAMILIES.items() if family.chat and family.simple
]


@pytest.mark.parametrize(("name", "simple"), RUNS)
def test_readings_equal_those_of_the_raw_logits(evaluated, name, simple):
    run = evaluated(name, simple=simple)
    found, same = numbers(run)
    assert same, "the probe changed what is generated"
    assert_equal(run.readouts, found)
    # Otherwise this shows little: the image has a say in the answers.
    asked = {question for question, _ in found}
    assert any(
        run.readouts[one, "clean"]["entropy"] != run.readouts[one, "gaussian_noise"]["entropy"]
        for one in asked
    )


def assert_equal(readouts, found):
    assert readouts.keys() == found.keys() and len(found) == 2 * DOCUMENTS
    for key, record in readouts.items():
        expected = found[key]
        assert len(record["token_entropy"]) == max(expected.steps, 1)
        assert record["answer_step"] == expected.answer_step
        near = {"abs": 1e-5, "rel": 0}
        assert record["token_entropy"] == pytest.approx(expected.token_entropy, **near)
        assert record["entropy"] == pytest.approx(expected.token_entropy.mean(), **near)
        assert record["logprob"] == pytest.approx(expected.logprob, **near)
        assert record["position_unknown"] == expected.position_unknown
        unread = record["answer"] is None or record["position_unknown"]
        assert (record["confidence"] is None) == unread
        if expected.answer_step is not None:
            entropy = expected.token_entropy[expected.answer_step]
            assert record["entropy_answer"] == pytest.approx(entropy, **near)
        if expected.position_unknown:
            assert record["probs"] is None
            continue
        assert record["probs"] == pytest.approx(expected.probs, **near)
        assert record["answer_mass"] == pytest.approx(expected.answer_mass, **near)
        if record["answer"] is not None:
            assert record["confidence"] == pytest.approx(expected.probs[record["answer"]], **near)
        margin = abs(math.log(expected.probs["Yes"] / expected.probs["No"]))
        assert record["margin"] == pytest.approx(margin, **near)
        assert abs(record["gold_margin"]) == pytest.approx(margin, **near)


BATCHED = [name for name, family in FAMILIES.items() if 4 in family.batch_sizes]


@pytest.mark.parametrize("name", BATCHED)
def test_rows_of_a_batch_end_at_different_lengths_and_are_read_right(evaluated, name):
    run = evaluated(name, batch_size=4)
    assert [len(call.sequences) for call in run.calls] == [4, 4]
    assert len({len(record["token_entropy"]) for record in run.readouts.values()}) > 1
    found, same = numbers(run)
    assert same
    assert_equal(run.readouts, found)


@pytest.mark.parametrize("name", BATCHED)
def test_a_batch_of_four_reads_what_batches_of_one_read(evaluated, name):
    alone = evaluated(name, float32=True).readouts
    together = evaluated(name, batch_size=4, float32=True).readouts
    assert alone.keys() == together.keys()
    for key, record in alone.items():
        other = together[key]
        assert other["text"] == record["text"]
        assert other["answer_step"] == record["answer_step"]
        for number in ("token_entropy", "logprob", "probs", "answer_mass", "margin"):
            assert other[number] == pytest.approx(record[number], abs=1e-4, rel=0)
