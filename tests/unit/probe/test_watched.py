"""Watching generate() changes nothing: hooks, callers, inner models."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    LlamaForCausalLM,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from vlm_confidence_tasks.probe import Row
from vlm_confidence_tasks.probe.generation import watched

from .tiny import PROMPT, YES_NO, Batch, Dictate, hooks, prompt, read, recomputed


class StopAfter(StoppingCriteria):
    def __init__(self, length: int) -> None:
        self.length = length
        self.calls = 0

    def __call__(self, input_ids, scores, **kwargs):
        self.calls += 1
        return torch.full((len(input_ids),), input_ids.shape[1] >= self.length)


def test_stopping_criteria_of_the_caller_still_apply(model, tokenizer):
    red = tokenizer.convert_tokens_to_ids("red")
    start = len(tokenizer.encode(PROMPT))
    mine = StopAfter(start + 3)
    given = StoppingCriteriaList([mine])
    output, (reading,) = read(
        model,
        tokenizer,
        stopping_criteria=given,
        logits_processor=LogitsProcessorList([Dictate([[red]], start)]),
    )
    assert mine.calls == 3
    assert output.shape[1] == start + 3
    assert list(reading.tokens) == [red] * 3
    assert given == [mine], "the caller's own list was changed"


class Breaks(StoppingCriteria):
    def __call__(self, input_ids, scores, **kwargs):
        raise RuntimeError("out of memory")


def test_the_model_is_restored_when_generate_raises(model, tokenizer):
    before = hooks(model)
    batch = Batch(Row(YES_NO))
    with watched(model, tokenizer, batch):
        with pytest.raises(RuntimeError, match="out of memory") as raised:
            model.generate(**prompt(tokenizer), max_new_tokens=2, stopping_criteria=[Breaks()])
        assert hooks(model) == before
        assert batch.failures == [raised.value]
        model.generate(**prompt(tokenizer), do_sample=False, max_new_tokens=2)
    assert "generate" not in vars(model)
    assert len(batch.readings) == 1, "the call that raised delivers nothing, the next one does"


def test_a_generate_that_was_patched_before_is_restored(model, tokenizer):
    calls = []
    original = model.generate

    def patched(*args, **kwargs):
        calls.append(kwargs)
        return original(*args, **kwargs)

    model.generate = patched
    read(model, tokenizer)
    assert len(calls) == 1
    assert model.generate is patched


def test_the_caller_sees_the_same_name_and_signature(model, tokenizer):
    plain = model.generate
    with watched(model, tokenizer, Batch()):
        assert model.generate.__name__ == "generate"
        assert model.generate.__wrapped__ == plain


class Softened(LlamaForCausalLM):
    """Runs an inner language model in its own forward, and changes what that gives."""

    def __init__(self, inner) -> None:
        super().__init__(inner.config)
        self.inner = inner

    def forward(self, *args, **kwargs):
        output = self.inner(*args, **kwargs)
        output.logits = output.logits / 2
        return output


def test_the_outer_models_logits_are_used_if_both_run(model, tokenizer):
    outer = Softened(model).eval()
    output, (reading,) = read(outer, tokenizer)
    start = len(tokenizer.encode(PROMPT))
    entropy, _ = recomputed(outer(output).logits[0, start - 1 : -1], output[0, start:].tolist())
    count = len(reading.token_entropy)
    assert reading.token_entropy == pytest.approx(entropy[:count], abs=1e-4)
