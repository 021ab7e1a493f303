"""Watching generate(): what is read, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import GenerationConfig, LogitsProcessorList

from vlm_confidence_tasks.probe import ProbeError, Row, label_tokens
from vlm_confidence_tasks.probe.generation import watched
from vlm_confidence_tasks.probe.recorder import Recorder

from .tiny import PROMPT, YES_NO, Batch, Dictate, make_model, plainly, prompt, read, recomputed


@pytest.mark.parametrize("seed", range(4))
def test_readings_equal_those_of_the_raw_logits(tokenizer, seed):
    model = make_model(tokenizer, seed)
    plain = model.generate(
        **prompt(tokenizer),
        do_sample=False,
        max_new_tokens=12,
        output_logits=True,
        return_dict_in_generate=True,
    )
    output, (reading,) = read(model, tokenizer)
    assert torch.equal(output, plain.sequences)
    generated = output[0, len(tokenizer.encode(PROMPT)) :].tolist()
    answer_tokens = [token for token in generated if token != tokenizer.eos_token_id]
    assert list(reading.tokens) == answer_tokens
    count = max(len(answer_tokens), 1)
    entropy, logprob = recomputed(torch.cat(plain.logits)[:count], generated)
    assert reading.token_entropy == pytest.approx(entropy, abs=1e-5)
    assert reading.token_logprob == pytest.approx(logprob, abs=1e-5)
    assert reading.finite


def test_a_repetition_penalty_changes_the_answer_but_not_the_measured_logits(model, tokenizer):
    endless = {"eos_token_id": tokenizer.pad_token_id}
    output, (reading,) = read(model, tokenizer, repetition_penalty=4.0, **endless)
    free, _ = read(model, tokenizer, **endless)
    assert output.shape != free.shape or not torch.equal(output, free)
    raw = model(output).logits[0, len(tokenizer.encode(PROMPT)) - 1 : -1]
    entropy, logprob = recomputed(raw, output[0, len(tokenizer.encode(PROMPT)) :].tolist())
    count = len(reading.token_entropy)
    assert reading.token_entropy == pytest.approx(entropy[:count], abs=1e-4)
    assert reading.token_logprob == pytest.approx(logprob[:count], abs=1e-4)


def test_what_other_threads_run_is_not_read(model, tokenizer):
    other = {"input_ids": torch.tensor([tokenizer.encode("a blue square")])}
    expected, (alone,) = read(model, tokenizer)

    def meanwhile(input_ids, scores):
        # Between a step's forward pass and its stopping criteria, as a gradient's might be.
        pool.submit(lambda: model(**other)).result()
        return scores

    with ThreadPoolExecutor(1) as pool:
        output, (reading,) = read(
            model, tokenizer, logits_processor=LogitsProcessorList([meanwhile])
        )
    assert torch.equal(output, expected)
    assert np.array_equal(reading.token_entropy, alone.token_entropy)
    assert np.array_equal(reading.token_logprob, alone.token_logprob)
    assert reading.label_steps == alone.label_steps


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"num_beams": 2}, "num_beams=2"),
        ({"do_sample": True}, "do_sample=True"),
        ({"do_sample": True, "num_return_sequences": 2}, "do_sample=True"),
        ({"generation_config": GenerationConfig(do_sample=True)}, "do_sample=True"),
    ],
)
def test_decoding_that_is_not_greedy_is_refused(model, tokenizer, kwargs, named):
    with pytest.raises(ProbeError, match=f"{named}.*set temperature to 0 and num_beams to 1"):
        plainly(model, tokenizer, **{"max_new_tokens": 3} | kwargs)


def test_settings_that_are_not_given_are_the_models(model, tokenizer):
    # transformers fills a passed configuration in from there, the end token included.
    model.generation_config.do_sample = True
    for given in ({}, {"generation_config": GenerationConfig(max_new_tokens=3)}):
        with pytest.raises(ProbeError, match="do_sample=True"):
            plainly(model, tokenizer, max_new_tokens=3, **given)
    model.generation_config.do_sample = False
    dictated = Dictate(
        [[tokenizer.convert_tokens_to_ids("Yes"), tokenizer.eos_token_id]],
        len(tokenizer.encode(PROMPT)),
    )
    (reading,) = plainly(
        model,
        tokenizer,
        generation_config=GenerationConfig(max_new_tokens=3),
        logits_processor=LogitsProcessorList([dictated]),
    )
    assert tokenizer.decode(reading.tokens) == "Yes"


def test_several_tokens_in_a_step_are_refused(model, tokenizer):
    repeating = tokenizer.encode("the red circle is the red circle is the red circle is the red")
    inputs = {"input_ids": torch.tensor([repeating])}
    dictated = Dictate([tokenizer.encode(" circle is the red circle is the red")], len(repeating))
    with pytest.raises(ProbeError, match="tokens in one step"):
        read(
            model,
            tokenizer,
            inputs,
            prompt_lookup_num_tokens=3,
            logits_processor=LogitsProcessorList([dictated]),
        )


@pytest.mark.parametrize("ends", ["int", "list", "tensor"])
def test_end_tokens_as_adapters_write_them(model, tokenizer, ends):
    end = tokenizer.convert_tokens_to_ids("Yes")
    given = {"int": end, "list": [3, end], "tensor": torch.tensor([end])}[ends]
    dictated = Dictate(
        [[tokenizer.convert_tokens_to_ids("red"), end]], len(tokenizer.encode(PROMPT))
    )
    _, (reading,) = read(
        model,
        tokenizer,
        eos_token_id=given,
        logits_processor=LogitsProcessorList([dictated]),
    )
    assert tokenizer.decode(reading.tokens) == "red"
    assert len(reading.token_entropy) == 1


def test_rows_with_different_labels(model, tokenizer):
    batch = Batch(Row(YES_NO), Row(("A", "B", "C")), Row(()))
    label_ids = [label_tokens(tokenizer, row.labels) for row in batch.rows()]
    with watched(model, tokenizer, batch):
        output = model.generate(**prompt(tokenizer, rows=3), do_sample=False, max_new_tokens=2)
    p = torch.log_softmax(model(output[:1, :-2]).logits[0, -1].detach().double(), dim=-1).exp()
    for reading, labels in zip(batch.readings, label_ids, strict=True):
        expected = [float(p[list(tokens)].sum()) for tokens in labels]
        assert reading.label_steps[0].step == 0
        assert np.exp(reading.label_steps[0].logprob) == pytest.approx(expected, abs=1e-5)


def test_an_unexpected_number_of_rows_is_refused(model, tokenizer):
    with pytest.raises(ProbeError, match="runs 2 rows, but 1 documents were looked up"):
        read(model, tokenizer, prompt(tokenizer, rows=2), rows=1)


def test_a_batch_padded_on_the_right_is_refused(model, tokenizer):
    ids = prompt(tokenizer)["input_ids"].repeat(2, 1)
    mask = torch.ones_like(ids)
    mask[1, -2:] = 0
    batch = Batch(Row(()), Row(()))
    with (
        watched(model, tokenizer, batch),
        pytest.raises(ProbeError, match="padded on the right.*--batch_size 1"),
    ):
        model.generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=2)
    assert len(batch.failures) == 1
    left = mask.flip(1)
    with watched(model, tokenizer, batch):
        model.generate(input_ids=ids, attention_mask=left, do_sample=False, max_new_tokens=2)


def spoil(model, value: float) -> None:
    """Give one token of the vocabulary, which no label uses, a logit of `value`."""

    def replace(module, args, output):
        return output.index_fill(-1, torch.tensor([3]), value)

    model.lm_head.register_forward_hook(replace)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_logits_are_detected(model, tokenizer, value):
    spoil(model, value)
    _, (reading,) = read(model, tokenizer, max_new_tokens=3)
    assert not reading.finite


def test_a_token_that_the_model_itself_rules_out_has_probability_zero(model, tokenizer):
    spoil(model, -torch.inf)
    output, (reading,) = read(model, tokenizer, max_new_tokens=3)
    assert reading.finite
    raw = model(output).logits[0, len(tokenizer.encode(PROMPT)) - 1]
    (entropy,), _ = recomputed(raw[None], [0])
    assert reading.token_entropy[0] == pytest.approx(entropy, abs=1e-5)


def test_generate_without_a_step_is_an_error(model, tokenizer):
    model.generate = lambda **kwargs: kwargs["input_ids"]
    with pytest.raises(ProbeError, match="returned without choosing a token"):
        read(model, tokenizer)


def test_a_token_without_logits_is_an_error(tokenizer):
    recorder = Recorder([label_tokens(tokenizer, YES_NO)], torch.device("cpu"), lambda model: None)
    with pytest.raises(ProbeError, match="no forward pass gave logits"):
        recorder(torch.tensor([[5, 6]]), None)
