"""The training script writes a folder that loads."""

from __future__ import annotations

import re
import runpy
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor, LlavaForConditionalGeneration

import train_tiny_llava
from tiny_world.lessons import Lesson, Row
from tiny_world.packing import Packer
from vlm_confidence_tasks.sandbox import MODEL_DIR
from vlm_confidence_tasks.sandbox.world import evaluation_scenes

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "sandbox" / "train_tiny_llava.py"


def test_two_steps_make_a_loadable_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = "--steps 2 --looks 2 --rows 1 --check 2 --threads 1"
    options = [*few.split(), "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    # In this process, where what scripts import for seconds is imported.
    with torch.random.fork_rng():
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "held out" in capsys.readouterr().out
    model, info = LlavaForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert model.num_parameters() <= 3_000_000
    assert AutoProcessor.from_pretrained(tmp_path).chat_template


def test_a_lesson_without_a_question_is_not_counted_as_right() -> None:
    tokenizer = AutoProcessor.from_pretrained(MODEL_DIR).tokenizer
    encode = partial(tokenizer.encode, add_special_tokens=False)
    packer = Packer(encode, tokenizer.pad_token_id, train_tiny_llava.PATCH)
    with torch.random.fork_rng():
        model = train_tiny_llava.build_model(tokenizer, train_tiny_llava.SIZES["xs"]).eval()
    (scene,) = evaluation_scenes(52, 1)
    asked = Lesson("asked", ((" red circle", " Yes"),))
    rows = [Row((scene,), "<image>", (Lesson("empty", ()), asked))]
    assert list(train_tiny_llava.held_out(model, packer, rows, None)) == ["asked"]


@pytest.mark.parametrize(
    "options, says",
    [
        (["--steps", "0"], "must be a whole number of at least 1"),
        (["--threads", "0"], "must be a whole number of at least 1"),
        (["--rows", "-1"], "must be a whole number of at least 1"),
        (["--seed", "-1"], "--seed must be 0 or more"),
        (["--seed", str(2**63)], "--seed must be 0 or more and below 2**63"),
        (["--lr", "nan"], "--lr must be above 0"),
        (["--output", "/dev/null"], "--output /dev/null: File exists; give a folder"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_trained(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train_tiny_llava.parse(["--output", str(tmp_path), *options])
    assert re.search(re.escape(says), capsys.readouterr().err)
