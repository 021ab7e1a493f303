"""A language model of two layers, and what can be made to happen in its generate()."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import LlamaForCausalLM, LogitsProcessor, PreTrainedTokenizerFast
from zoo import vocabularies
from zoo.llava import llama_config
from zoo.weights import randomise

from vlm_confidence_tasks.probe import Reading, Row
from vlm_confidence_tasks.probe.generation import watched

KINDS = ("byte_level", "sentencepiece", "tiktoken")
YES_NO = ("Yes", "No")
PROMPT = "Is there a red circle in the image?"


def make_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    return vocabularies.make(kind, [], bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> LlamaForCausalLM:
    return randomise(LlamaForCausalLM(llama_config(tokenizer)), tokenizer, seed=seed)


def prompt(tokenizer, rows: int = 1) -> dict[str, torch.Tensor]:
    ids = torch.tensor([tokenizer.encode(PROMPT)] * rows)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


class Dictate(LogitsProcessor):
    """Makes the model say given tokens, whatever its logits are."""

    def __init__(self, rows: Sequence[Sequence[int]], start: int) -> None:
        self._rows = rows
        self._start = start

    def __call__(self, input_ids, scores):
        forced = torch.full_like(scores, -torch.inf)
        step = input_ids.shape[1] - self._start
        for row, tokens in enumerate(self._rows):
            forced[row, tokens[min(step, len(tokens) - 1)]] = 0.0
        return forced


class Batch:
    """The rows of every generate(), what was read of them, and what failed."""

    def __init__(self, *rows: Row) -> None:
        self._rows = rows
        self.readings: list[Reading] = []
        self.failures: list[BaseException] = []

    def rows(self) -> Sequence[Row]:
        return self._rows

    def deliver(self, readings: Sequence[Reading]) -> None:
        self.readings.extend(readings)

    def fail(self, error: BaseException) -> None:
        self.failures.append(error)


def read(
    model, tokenizer, inputs=None, *, labels=YES_NO, rows: int | None = None, **kwargs
) -> tuple[torch.Tensor, list[Reading]]:
    """Run generate() once under the probe; return what it gave and what was read."""
    inputs = prompt(tokenizer) if inputs is None else inputs
    batch = Batch(*[Row(labels)] * (len(inputs["input_ids"]) if rows is None else rows))
    with watched(model, tokenizer, batch):
        output = model.generate(**inputs, **{"max_new_tokens": 12, "do_sample": False} | kwargs)
    return output, batch.readings


def recomputed(logits: torch.Tensor, tokens) -> tuple[list[float], list[float]]:
    """Entropies and log-probabilities from raw logits, by loops in float64."""
    entropy, logprob = [], []
    for step, token in zip(logits.detach().double().numpy(), tokens, strict=False):
        p = np.exp(step - step.max())
        p /= p.sum()
        entropy.append(-sum(x * np.log(x) for x in p if x > 0))
        logprob.append(np.log(p[token]))
    return entropy, logprob


def hooks(model) -> int:
    """Count the forward hooks of a model."""
    return sum(len(module._forward_hooks) for module in model.modules())


def plainly(model, tokenizer, **kwargs):
    """Generate under the probe with nothing but what is given."""
    batch = Batch(Row(YES_NO))
    with watched(model, tokenizer, batch):
        model.generate(**prompt(tokenizer), **kwargs)
    return batch.readings
