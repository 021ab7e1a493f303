"""Every family: options scored on the prompt's cache are what a plain pass over all gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from probe.tiny import Batch
from transformers import GenerationMixin

from vlm_confidence_tasks.probe import ProbeError, Row
from vlm_confidence_tasks.probe.generation import watched
from vlm_confidence_tasks.probe.scoring import OptionScorer

from . import FAMILIES

# Of one token and of several; the rows of a batch may have different ones, or none.
OPTIONS = ("Yes", "a red circle", "The answer is the blue square in the image.", "No")
BATCHED = [name for name, family in FAMILIES.items() if 4 in family.batch_sizes]
RUNS = [(name, 1) for name in FAMILIES] + [(name, 4) for name in BATCHED]


def score(run, call, texts):
    """Run generate() once more, with options after its prompts."""
    batch = Batch(*(Row((), options) for options in texts))
    with watched(run.model, run.tokenizer, batch):
        sequences = run.model.generate(**call.arguments)
    assert not batch.failures
    return sequences, batch.readings


def texts_of(batch_size):
    return [OPTIONS, OPTIONS[:2], (), OPTIONS[::-1]][:batch_size]


def plainly(run, call, row, tokens):
    """ln p of tokens after a row's prompt, by one pass over the prompt and all of them."""
    inputs = {
        name: value for name, value in call.arguments.items() if isinstance(value, torch.Tensor)
    }
    length, count = inputs["input_ids"].shape[1], len(tokens)
    given = torch.tensor([tokens]).expand(len(inputs["input_ids"]), -1)
    more = {
        "input_ids": given,
        "attention_mask": torch.ones_like(given),
        "token_type_ids": torch.zeros_like(given),
        "mm_token_type_ids": torch.zeros_like(given),
    }
    if "cross_attention_mask" in inputs:
        last = inputs["cross_attention_mask"][:, -1:]
        more["cross_attention_mask"] = last.expand(-1, count, -1, -1)
    whole = inputs | {
        name: torch.cat([inputs[name], value.to(inputs[name].dtype)], dim=1)
        for name, value in more.items()
        if name in inputs
    }
    with torch.no_grad():
        logits = run.model(**whole).logits[row, -count - 1 : -1]
    assert whole["input_ids"].shape[1] == length + count
    logprob = torch.log_softmax(logits.double(), dim=-1)
    return logprob.gather(1, torch.tensor(tokens)[:, None])[:, 0].numpy()


@pytest.mark.parametrize(("name", "batch_size"), RUNS)
def test_options_equal_a_plain_pass(evaluated, name, batch_size):
    run = evaluated(name, batch_size=batch_size, float32=True)
    call, texts = run.calls[0], texts_of(batch_size)
    sequences, readings = score(run, call, texts)
    assert torch.equal(sequences, call.sequences), "scoring changed what is generated"
    worst = 0.0
    for row, (reading, options) in enumerate(zip(readings, texts, strict=True)):
        assert len(reading.option_logprob) == len(options)
        tokens = OptionScorer(run.tokenizer).batch((), call.arguments, texts).options[row]
        for found, written in zip(reading.option_logprob, tokens, strict=True):
            expected = plainly(run, call, row, written)
            worst = max(worst, np.abs(found - expected).max())
    print(f"{name} {batch_size}: {worst:.2g}")
    assert worst < 1e-4


class Passes:
    """Counts forward passes of the language model, by length, and of the vision tower."""

    def __init__(self, model):
        self.lengths, self.pictures, self._hooks = [], 0, []
        loop = [m for m in model.modules() if isinstance(m, GenerationMixin)][-1]
        self._hooks.append(loop.register_forward_hook(self._text, with_kwargs=True))
        tower = next(
            module
            for name, module in model.named_modules()
            if name.split(".")[-1] in ("vision_tower", "visual", "vision_model")
        )
        self._hooks.append(tower.register_forward_hook(self._picture))

    def _text(self, module, args, kwargs, output):
        given = kwargs.get("input_ids")
        self.lengths.append((kwargs["inputs_embeds"] if given is None else given).shape[1])

    def _picture(self, *ignored):
        self.pictures += 1

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for hook in self._hooks:
            hook.remove()


@pytest.mark.parametrize("name", FAMILIES)
def test_n_options_cost_one_prompt_and_n_short_passes(evaluated, name):
    run = evaluated(name)
    call = run.calls[0]
    with Passes(run.model) as plain:
        run.model.generate(**call.arguments)
    with Passes(run.model) as passes:
        _, (reading,) = score(run, call, [OPTIONS])
    assert passes.pictures == plain.pictures == 1
    generated = len(plain.lengths)
    assert passes.lengths[:generated] == plain.lengths
    assert sorted(plain.lengths)[-1] > 20
    short = passes.lengths[generated:]
    several = [len(option) - 1 for option in reading.option_logprob if len(option) > 1]
    # And one to check the model by its own answer.
    assert short[: len(several)] == several and len(short) <= len(several) + 1


@pytest.mark.parametrize("name", ["llava", "qwen2_vl", "mllama"])
def test_a_wrong_continuation_is_detected(evaluated, name, monkeypatch):
    from vlm_confidence_tasks.probe.continuation import PromptState

    run = evaluated(name, float32=True)
    init = PromptState.__init__

    def misplaced(self, module, kwargs, output, **options):
        init(self, module, kwargs | {"position_ids": kwargs["position_ids"] + 3}, output, **options)

    monkeypatch.setattr(PromptState, "__init__", misplaced)
    long = next(call for call in run.calls if call.sequences.shape[1] > 2)
    with pytest.raises(ProbeError, match="its own answer, scored so, differs from generation by"):
        score(run, long, [OPTIONS])
