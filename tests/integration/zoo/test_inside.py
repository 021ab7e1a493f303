"""Every family: what is captured inside equals what transformers gives on a plain run."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from probe.test_grids import dirichlet_energy
from probe.tiny import Batch
from transformers import AutoModelForCausalLM

from vlm_confidence_tasks.probe import ProbeError, Reading, Row, find_structure
from vlm_confidence_tasks.probe.generation import watched

from . import FAMILIES

THREE = [name for name, family in FAMILIES.items() if len(family.batch_sizes) > 1]
RUNS = [(name, 1) for name in FAMILIES] + [(name, 3) for name in THREE]
NEAR = {"abs": 1e-5, "rel": 0}


@dataclass(frozen=True)
class Pair:
    """A call of generate() under the probe, and without it, with all hidden states."""

    readings: list[Reading]
    plain: object
    prompts: torch.Tensor
    arguments: dict
    model: torch.nn.Module


def hooks(model) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def capture(run, call, is_needed=True) -> tuple[torch.Tensor, list[Reading]]:
    row = Row(("Yes", "No"), representations=is_needed)
    batch = Batch(*[row] * len(call.sequences))
    with watched(run.model, run.tokenizer, batch, find_structure(run.model)):
        sequences = run.model.generate(**call.arguments)
    return sequences, batch.readings


@pytest.fixture(scope="module")
def pairs(evaluated):
    """A function that runs the first call of a family both ways, once."""
    made = {}

    def pair(name: str, batch_size: int) -> Pair:
        if (name, batch_size) not in made:
            run = evaluated(name, batch_size=batch_size, float32=True)
            call = run.calls[0]
            mask = call.arguments["attention_mask"]
            assert batch_size == 1 or not mask[:, 0].all(), "nothing is padded: this shows little"
            sequences, readings = capture(run, call)
            assert torch.equal(sequences, call.sequences), "capturing changed what is generated"
            plain = run.model.generate(
                **call.arguments,
                output_hidden_states=True,
                output_logits=True,
                return_dict_in_generate=True,
            )
            prompts = call.arguments["input_ids"]
            made[name, batch_size] = Pair(readings, plain, prompts, call.arguments, run.model)
            gc.collect()
        return made[name, batch_size]

    return pair


@pytest.mark.parametrize(("name", "batch_size"), RUNS)
def test_states_equal_output_hidden_states(pairs, name, batch_size):
    pair = pairs(name, batch_size)
    assert len(pair.readings) == batch_size
    steps = [states[-1][:, -1].numpy() for states in pair.plain.hidden_states]
    worst = 0.0
    for row, reading in enumerate(pair.readings):
        inside = reading.inside
        assert inside.context.dtype == np.float32
        worst = max(worst, np.abs(inside.context - steps[0][row]).max())
        count = min(len(reading.tokens), len(steps) - 1)
        if count == 0:
            assert inside.answer is None
            continue
        mean = np.mean([steps[t][row] for t in range(1, 1 + count)], axis=0)
        worst = max(worst, np.abs(inside.answer - mean).max())
    print(f"{name}, batch of {batch_size}: {worst:.2g}")
    assert worst < 1e-5


@pytest.mark.parametrize(("name", "batch_size"), RUNS)
def test_layer_entropies_are_the_logit_lens_of_the_answers_step(pairs, name, batch_size):
    pair = pairs(name, batch_size)
    parts = find_structure(pair.model)
    cases = [
        (row, at.step, reading, found)
        for row, reading in enumerate(pair.readings)
        for at, found in zip(reading.label_steps, reading.inside.layer_entropy, strict=True)
    ]
    for row, step, reading, found in cases:
        states = [layer[row, -1] for layer in pair.plain.hidden_states[step][1:-1]]
        with torch.no_grad():
            logits = [parts.head(parts.norm(state)) for state in states]
        # transformers gives the last layer's state after the norm only.
        logits.append(pair.plain.logits[step][row])
        p = torch.softmax(torch.stack(logits).double(), dim=-1).numpy()
        entropy = -np.sum(p * np.log(p), axis=-1)
        assert found == pytest.approx(entropy, **NEAR)
        assert found[-1] == pytest.approx(reading.token_entropy[step], **NEAR)


def test_labels_after_the_first_step_are_among_those_tested(pairs):
    readings = [r for name, size in RUNS for r in pairs(name, size).readings]
    assert any(at.step for r in readings for at in r.label_steps)
    assert any(at.label is None for r in readings for at in r.label_steps)


@pytest.mark.parametrize(("name", "batch_size"), RUNS)
def test_vision_tokens_are_those_that_the_language_model_gets(pairs, name, batch_size):
    pair = pairs(name, batch_size)
    seen = []
    parts = find_structure(pair.model)
    hook = parts.decoder.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs), with_kwargs=True
    )
    plain = {k: v for k, v in pair.arguments.items() if k != "max_new_tokens"}
    pair.model.generate(**plain, max_new_tokens=1)
    hook.remove()
    for row, reading in enumerate(pair.readings):
        if "cross_attention_states" in seen[0] and name == "mllama":
            there = pair.arguments["aspect_ratio_mask"][row, 0].bool()
            tokens = seen[0]["cross_attention_states"].reshape(4, 17, -1)[there].flatten(0, 1)
        else:
            tokens = seen[0]["inputs_embeds"][row][pair.prompts[row] == parts.image_token]
        assert len(tokens) > 3
        assert reading.inside.vision == pytest.approx(tokens.mean(dim=0).numpy(), **NEAR)
        expected = energy_of(name, tokens.numpy(), pair, row)
        energy = reading.inside.dirichlet_energy
        assert energy == (expected and pytest.approx(expected, rel=1e-5))


def energy_of(name, tokens, pair, row):
    """The energy by each family's own layout, written down by hand for the zoo's images."""
    if name in ("idefics2", "instructblip"):
        return None
    if name.startswith("qwen"):
        _, height, width = pair.arguments["image_grid_thw"][row].tolist()
        grids = [tokens.reshape(height // 2, width // 2, -1)]
    elif name in ("llava", "llava_next", "llava_onevision"):
        grids = [tokens[:16].reshape(4, 4, -1)]
    elif name == "mllama":
        grids = [tile[1:].reshape(4, 4, -1) for tile in tokens.reshape(-1, 17, tokens.shape[-1])]
    else:
        grids = list(tokens.reshape(-1, 2, 2, tokens.shape[-1]))
    return np.mean([dirichlet_energy(grid) for grid in grids])


def test_without_need_no_hook_is_registered(evaluated, monkeypatch):
    run = evaluated("llava", float32=True)
    call, counts = run.calls[0], []
    original = type(run.model).prepare_inputs_for_generation

    def counting(self, *args, **kwargs):
        counts.append(hooks(self))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(type(run.model), "prepare_inputs_for_generation", counting)
    before = hooks(run.model)
    _, (reading,) = capture(run, call, is_needed=False)
    assert reading.inside is None
    # The recorder's own, on the one module that generates.
    assert set(counts) == {before + 1}
    counts.clear()
    _, (reading,) = capture(run, call, is_needed=True)
    layers = len(find_structure(run.model).layers)
    assert set(counts) == {before + 1 + layers + 1}
    assert hooks(run.model) == before


class Headless(torch.nn.Module):
    config = type("Config", (), {})()

    def __init__(self):
        super().__init__()
        self.tokens = torch.nn.Embedding(2, 2)

    def get_input_embeddings(self):
        return self.tokens


def test_a_model_with_unknown_parts_is_named(evaluated):
    with pytest.raises(ProbeError, match="states of Headless cannot be read: it has no stack"):
        find_structure(Headless())
    text = evaluated("llava").model.model.language_model.config
    with pytest.raises(ProbeError, match="LlamaForCausalLM cannot be read: it has no image token"):
        find_structure(AutoModelForCausalLM.from_config(text))
