"""Every family: questions behind a shared prefix read what generate() reads, one at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from conftest import assert_near
from loguru import logger
from PIL import Image

from vlm_confidence_tasks.models.counting_adapter import counting
from vlm_confidence_tasks.models.hf_multimodal import HfMultimodal
from vlm_confidence_tasks.models.shared_prefix import (
    SharedPrefix,
    answering,
    prefix_reuse,
    shared_rows,
)
from vlm_confidence_tasks.models.shared_prefix.prefix import cache_of
from vlm_confidence_tasks.models.turns import Turn
from vlm_confidence_tasks.probe import Reading, Row

from . import FAMILIES
from .llava import TEMPLATE
from .watching import evaluate

# A prompt is processed without its question in InstructBLIP alone, which has no chat template.
NAMES = [name for name in FAMILIES if name != "instructblip"]
TEXTS = (
    "Is there a red circle in the image?",
    "Is there a blue square?",
    "A",
    "Answer the question using a single word or phrase. Is there a red square in the image?",
)
OPTIONS = ("Yes", "a red circle", "The answer is the blue square in the image.", "No")
ROWS = [Row(("Yes", "No"), OPTIONS[: 1 + index], True) for index in range(len(TEXTS))]
ARGUMENTS = {"max_new_tokens": 6}


class Rows:
    """An evaluation's rows, of which none is asked for."""

    def rows(self) -> Sequence[Row]:
        raise AssertionError

    def deliver(self, readings: Sequence[Reading]) -> None:
        raise AssertionError

    def fail(self, error: BaseException) -> None:
        raise AssertionError


@dataclass
class Asked:
    """An adapter, and prompts about each of two images."""

    adapter: HfMultimodal
    blocks: list[list]

    @property
    def shared(self) -> SharedPrefix:
        return self.adapter._shared

    @property
    def settings(self) -> dict:
        return self.adapter._settings(ARGUMENTS)

    @contextmanager
    def measuring(self):
        with self.adapter.logit_source.reading(Rows(), True):
            yield

    def plainly(self) -> list[list[Reading]]:
        """What generate() gives, the images in turn."""
        turns = []
        with self.measuring():
            for index in range(len(TEXTS)):
                rows = [ROWS[index]] * len(self.blocks)
                with self.adapter.logit_source.aside(rows) as readings:
                    for block in self.blocks:
                        self.adapter.model.generate(**block[index].inputs, **self.settings)
                turns.append(readings)
        return [list(readings) for readings in zip(*turns, strict=True)]

    def together(self, layout: str, at_once: bool = False) -> list[list[Reading]]:
        """The same behind shared prefixes."""
        groups = [self.blocks] if at_once else [[block] for block in self.blocks]
        with torch.no_grad():
            found = [
                answers
                for group in groups
                for answers in self.shared._answer(
                    group, [ROWS] * len(group), self.settings, layout
                )
            ]
        return [[answer.reading for answer in answers] for answers in found]


def ask(path, sizes=((40, 30), (30, 40)), kind=HfMultimodal, **options) -> Asked:
    adapter = kind(str(path), dtype="float32", device="cpu", **options)
    draw = np.random.default_rng(0)
    blocks = []
    for width, height in sizes:
        image = Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))
        content = [{"type": "image"}]
        turns = [
            Turn(0, "t", 0, [{"role": "user", "content": [*content, {"type": "text", "text": t}]}],
                 (image,), ARGUMENTS)
            for t in TEXTS
        ]  # fmt: skip
        blocks.append(adapter._prompts(turns))
    return Asked(adapter, blocks)


@pytest.fixture(scope="module")
def asked(checkpoint, zoo_environment):
    """A function that returns a family's adapter and prompts, made once."""
    made = {}

    def get(name: str) -> Asked:
        if name not in made:
            made[name] = ask(checkpoint(name))
        return made[name]

    return get


def agree(plain: list[list[Reading]], shared: list[list[Reading]]) -> None:
    for one, other in zip(sum(plain, []), sum(shared, []), strict=True):
        assert one.tokens == other.tokens
        near = {"abs": 1e-5, "rel": 0}
        assert other.token_entropy == pytest.approx(one.token_entropy, **near)
        assert other.token_logprob == pytest.approx(one.token_logprob, **near)
        assert [at.step for at in one.label_steps] == [at.step for at in other.label_steps]
        for a, b in zip(one.label_steps, other.label_steps, strict=True):
            assert b.logprob == pytest.approx(a.logprob, **near)
        assert len(one.option_logprob) == len(other.option_logprob)
        for a, b in zip(one.option_logprob, other.option_logprob, strict=True):
            assert b == pytest.approx(a, **near)
        mine, theirs = one.inside, other.inside
        for name in ("context", "answer", "vision", "layer_entropy", "dirichlet_energy"):
            a, b = getattr(mine, name), getattr(theirs, name)
            assert (a is None) == (b is None), name
            if a is not None:
                assert b == pytest.approx(a, abs=1e-4, rel=1e-5), name


@pytest.mark.parametrize("name", NAMES)
def test_shared_prefixes_read_what_generate_reads(asked, name) -> None:
    it = asked(name)
    plain = it.plainly()
    assert len({float(reading.token_entropy[0]) for block in plain for reading in block}) == 8
    agree(plain, it.together("packed"))
    agree(plain, it.together("padded"))


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "mllama"])
def test_several_images_at_once(checkpoint, zoo_environment, name) -> None:
    it = ask(checkpoint(name), sizes=((40, 30), (40, 30)))
    plain = it.plainly()
    agree(plain, it.together("packed", at_once=True))
    agree(plain, it.together("padded", at_once=True))


@pytest.mark.parametrize("name", ["llava", "gemma3"])
def test_the_eager_kernel(checkpoint, zoo_environment, name) -> None:
    it = ask(checkpoint(name), attn_implementation="eager")
    agree(it.plainly(), it.together("packed"))


def test_windows_that_slide(checkpoint, zoo_environment, tmp_path) -> None:
    folder = shutil.copytree(checkpoint("gemma3"), tmp_path / "gemma3")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= {
        "sliding_window": 12,
        "layer_types": ["sliding_attention", "full_attention"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    it, wide = ask(folder), ask(checkpoint("gemma3"))
    narrow = it.plainly()
    assert abs(wide.plainly()[0][0].token_entropy[0] - narrow[0][0].token_entropy[0]) > 1e-3
    agree(narrow, it.together("packed"))
    assert it.shared._excluded("padded") == "padding would count in its sliding windows"


def answered(it: Asked) -> tuple[list | None, list[str]]:
    """Answer the first image's questions as a run does, and return what was logged."""
    lines: list[str] = []
    handle = logger.add(lambda line: lines.append(str(line)), format="{message}")
    try:
        with it.measuring():
            found = it.shared.answer([it.blocks[0]], [ROWS], it.settings)
    finally:
        logger.remove(handle)
    return found, lines


@pytest.fixture
def fresh(asked):
    """The LLaVA's prompts, with nothing checked."""
    it = asked("llava")
    it.adapter._shared = SharedPrefix(it.adapter.logit_source, 1024)
    return it


def test_the_first_block_is_checked_and_the_line_says_so(fresh, monkeypatch) -> None:
    found, (line,) = answered(fresh)
    agree(fresh.plainly()[:1], [[answer.reading for answer in found[0]]])
    assert line.startswith("shared prefix with options with hidden states: packed rows (4 answers ")
    monkeypatch.setattr(fresh.adapter.model, "generate", None)
    again, lines = answered(fresh)
    assert again is not None and not lines


def test_positions_that_are_wrong_leave_the_plain_path(fresh, monkeypatch) -> None:
    right = answering.read_prefix

    def misplaced(*args, **kwargs):
        prefix = right(*args, **kwargs)
        prefix.next_position.add_(1)
        return prefix

    monkeypatch.setattr(answering, "read_prefix", misplaced)
    found, (line,) = answered(fresh)
    assert found is None and fresh.shared.gave_up
    assert "each question pays for its image (packed rows do not work here: " in line
    assert "; padded rows do not work here: " in line


def test_a_mask_that_is_wrong_leaves_padded_rows(fresh, monkeypatch) -> None:
    def all_visible(queries, keys, prefix, window=None):
        shape = len(queries.owner), 1, queries.owner.shape[1], prefix + keys.owner.shape[1]
        return torch.ones(shape, dtype=torch.bool)

    monkeypatch.setattr(shared_rows, "visible", all_visible)
    found, (line,) = answered(fresh)
    assert found is not None and "padded rows (packed rows do not work here: " in line


def test_kernels_without_masks_and_other_layers_are_not_tried(fresh, monkeypatch) -> None:
    config = fresh.adapter.model.config.get_text_config()
    monkeypatch.setattr(config, "_attn_implementation_internal", "flash_attention_2")
    assert fresh.shared._excluded("packed") == "flash_attention_2 takes no mask"
    assert fresh.shared._excluded("padded") is None
    monkeypatch.setattr(config, "layer_types", ["full_attention", "conv"], raising=False)
    assert fresh.shared._excluded("padded") == "it has layers of conv"


def test_memory_that_runs_out_halves_the_portions(fresh, monkeypatch) -> None:
    plain = fresh.plainly()[:1]
    run = shared_rows.SharedRows.run
    sizes = []
    fits = 2 + max(len(prompt.tokens) for prompt in fresh.blocks[0])
    fits -= fresh.shared.prefix_length(fresh.blocks[0])

    def limited(self, pieces, **options):
        sizes.append(0 if options else sum(len(piece.tokens) for piece in pieces))
        if sizes[-1] > fits:
            raise torch.OutOfMemoryError("out of memory")
        return run(self, pieces, **options)

    monkeypatch.setattr(shared_rows.SharedRows, "run", limited)
    found, lines = answered(fresh)
    agree(plain, [[answer.reading for answer in found[0]]])
    assert any(line.startswith("out of memory: max_packed_tokens is ") for line in lines)
    sizes.clear()
    answered(fresh)
    assert max(sizes) <= fits, "the size that fits is remembered"


def test_a_model_that_reads_the_image_with_the_question_in_mind(checkpoint, zoo_environment):
    it = ask(checkpoint("instructblip"), chat_template=TEMPLATE)
    assert it.blocks == [None, None]


def said_of_reuse(family, path, task_manager, monkeypatch, prepare=lambda model: None):
    """Run the task on a stock adapter that reuses prefixes."""
    lines: list[str] = []
    monkeypatch.setenv("VLM_CONFIDENCE_SHARE_PREFIX", "1")
    handle = logger.add(lambda line: lines.append(str(line)), format="{message}")
    try:
        run = evaluate(family, path, task_manager, float32=True, documents=6, prepare=prepare)
    finally:
        logger.remove(handle)
    (line,) = [line for line in lines if "SHARE_PREFIX" in line]
    return run, line


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl"])
def test_stock_adapters_reuse_prefixes(checkpoint, task_manager, name, monkeypatch) -> None:
    family, path = FAMILIES[name], checkpoint(name)
    plain = evaluate(family, path, task_manager, float32=True, documents=6)
    lengths = []

    def counted(model):
        decoder = next(m for n, m in model.named_modules() if n.endswith("language_model"))
        decoder.register_forward_hook(
            lambda m, args, kwargs, out: lengths.append(kwargs["inputs_embeds"].shape[1]),
            with_kwargs=True,
        )

    run, line = said_of_reuse(family, path, task_manager, monkeypatch, counted)
    assert "prefix is reused (3 answers agree with generate() to" in line
    assert any(1 < length < 30 for length in lengths), "no prompt was shortened"
    assert_near(run.readouts, plain.readouts)


def test_reuse_that_is_wrong_is_left_aside(checkpoint, task_manager, monkeypatch) -> None:
    def spoiled(state):
        return cache_of([(keys + 1, values) for keys, values in state])

    monkeypatch.setattr(prefix_reuse, "cache_of", spoiled)
    _, line = said_of_reuse(FAMILIES["llava"], checkpoint("llava"), task_manager, monkeypatch)
    assert "is left aside, since it does not work here: log-probabilities differ" in line


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_without_weights_reads_the_same_prompts(asked, checkpoint, name: str) -> None:
    whole = asked(name)
    bare = ask(checkpoint(name), kind=counting(HfMultimodal))
    for with_weights, without in zip(whole.blocks, bare.blocks, strict=True):
        assert [p.tokens for p in with_weights] == [p.tokens for p in without]
        assert whole.shared.prefix_length(with_weights) == bare.shared.prefix_length(without)
