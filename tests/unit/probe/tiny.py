"""A language model of two layers, and what can be made to happen in its generate()."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import LlamaForCausalLM, LogitsProcessor, PreTrainedTokenizerFast
from zoo import vocabularies
from zoo.llava import llama_config
from zoo.weights import randomise

from vlm_confidence_tasks.probe import Reading, label_tokens, watched

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


def read(
    model, tokenizer, inputs=None, *, labels=YES_NO, rows: int | None = None, **kwargs
) -> tuple[torch.Tensor, list[Reading]]:
    """Run generate() once under the probe; return what it gave and what was read."""
    inputs = prompt(tokenizer) if inputs is None else inputs
    readings: list[Reading] = []
    count = len(inputs["input_ids"]) if rows is None else rows
    tokens = label_tokens(tokenizer, labels)
    with watched(model, lambda: [tokens] * count, readings.extend, lambda error: None):
        output = model.generate(**inputs, **{"max_new_tokens": 12, "do_sample": False} | kwargs)
    return output, readings


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
    tokens = label_tokens(tokenizer, YES_NO)
    got = []
    with watched(model, lambda: [tokens], got.extend, lambda error: None):
        model.generate(**prompt(tokenizer), **kwargs)
    return got
