"""Every family on its stock adapter: what the probe reads is what the logits say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from transformers import AutoTokenizer

from vlm_confidence_tasks.probe import find_tokenizer

from . import CANNOT, FAMILIES
from .watching import DOCUMENTS, LABELS, evaluate, numbers

RUNS = [(name, False) for name in FAMILIES] + [
    (name, True) for name, family in FAMILIES.items() if family.chat and family.simple
]


def test_at_least_eight_families():
    assert len(FAMILIES) >= 8
    assert not set(FAMILIES) & set(CANNOT)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_checkpoint_is_small_and_its_tokenizer_of_the_stated_kind(checkpoint, name):
    path = checkpoint(name)
    size = sum(file.stat().st_size for file in path.iterdir())
    assert size < 2_000_000
    tokenizer = AutoTokenizer.from_pretrained(path)
    assert len(tokenizer) < 1_000
    mark = {"sentencepiece": "\u2581"}.get(FAMILIES[name].tokenizer, "\u0120")
    assert tokenizer.tokenize("? Yes")[-1] == f"{mark}Yes"


@pytest.mark.parametrize(("name", "simple"), RUNS)
def test_readouts_are_finite_and_within_their_bounds(evaluated, name, simple):
    run = evaluated(name, simple=simple)
    assert len(run.rows) == DOCUMENTS
    largest = math.log(run.model.get_output_embeddings().weight.shape[0])
    for row in run.rows:
        assert [record["variant"] for record in row["readouts"]] == ["clean", "gaussian_noise"]
        for record in row["readouts"]:
            assert record["token_entropy"]
            assert all(0 <= value <= largest for value in record["token_entropy"])
            assert record["entropy"] == pytest.approx(np.mean(record["token_entropy"]))
            assert record["logprob"] < 0
            assert (record["confidence"] is None) == (
                record["answer"] is None or record["position_unknown"]
            )
            if record["position_unknown"]:
                continue
            assert set(record["probs"]) == set(LABELS)
            assert sum(record["probs"].values()) == pytest.approx(1)
            assert 0 < record["answer_mass"] <= 1
            assert math.isfinite(record["margin"])
            assert math.isfinite(record["gold_margin"])


@pytest.mark.parametrize(("name", "simple"), RUNS)
def test_each_document_and_variant_is_generated_once(evaluated, name, simple):
    run = evaluated(name, simple=simple)
    assert sum(len(call.sequences) for call in run.calls) == 2 * DOCUMENTS


@pytest.mark.parametrize(("name", "simple"), RUNS)
def test_answers_depend_on_the_image(evaluated, name, simple):
    readouts = evaluated(name, simple=simple).readouts
    pairs = [
        (record["entropy"], readouts[asked, "gaussian_noise"]["entropy"])
        for (asked, variant), record in readouts.items()
        if variant == "clean"
    ]
    assert any(clean != noisy for clean, noisy in pairs)


@pytest.mark.parametrize(("name", "simple"), RUNS)
def test_readings_equal_those_of_the_raw_logits(evaluated, name, simple):
    run = evaluated(name, simple=simple)
    found, same = numbers(run)
    assert same, "the probe changed what is generated"
    assert_equal(run.readouts, found, 1e-5)


def assert_equal(readouts, found, tolerance):
    assert readouts.keys() == found.keys()
    for key, record in readouts.items():
        expected = found[key]
        assert len(record["token_entropy"]) == max(expected.steps, 1)
        assert record["answer_step"] == expected.answer_step
        near = {"abs": tolerance, "rel": 0}
        assert record["token_entropy"] == pytest.approx(expected.token_entropy, **near)
        assert record["logprob"] == pytest.approx(expected.logprob, **near)
        assert record["position_unknown"] == expected.position_unknown
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
    assert_equal(run.readouts, found, 1e-5)


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


@pytest.mark.parametrize("name", [name for name in BATCHED if not FAMILIES[name].float32])
def test_bfloat16_batches_agree_as_far_as_bfloat16_does(evaluated, name):
    # These adapters load in bfloat16 whatever they are told. Later tokens may then differ;
    # the first step, which has the same input, is off by the rounding: 0.04 nats were seen.
    alone = evaluated(name).readouts
    together = evaluated(name, batch_size=4).readouts
    for key, record in alone.items():
        first, other = record["token_entropy"][0], together[key]["token_entropy"][0]
        assert other == pytest.approx(first, abs=0.2)


def test_a_repetition_penalty_is_not_in_what_is_read(checkpoint, task_manager):
    def punish(model):
        model.generation_config.repetition_penalty = 5.0

    name = "qwen2_vl"
    run = evaluate(FAMILIES[name], checkpoint(name), task_manager, prepare=punish)
    found, same = numbers(run)
    assert same
    assert_equal(run.readouts, found, 1e-5)
    # And the penalty did act: without it, other tokens are chosen.
    for call in run.calls:
        free = run.model.generate(**call.arguments, repetition_penalty=1.0)
        if free.shape != call.sequences.shape or (free != call.sequences).any():
            return
    pytest.fail("the penalty changed nothing: this test shows nothing")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_probe_finds_the_adapters_own_tokenizer(evaluated, name):
    run = evaluated(name)
    assert find_tokenizer(run.adapter).get_vocab() == run.tokenizer.get_vocab()
    assert "generate" not in vars(run.model), "something was left behind"
