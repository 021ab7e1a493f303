"""The training script writes a folder that loads."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor, LlavaForConditionalGeneration

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "train_tiny_llava.py"


def test_two_steps_make_a_loadable_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--steps",
        "2",
        "--looks",
        "2",
        "--rows",
        "1",
        "--check",
        "2",
        "--output",
        str(tmp_path),
    ]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    # In this process, where what scripts import for seconds is imported.
    with torch.random.fork_rng():
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "held out" in capsys.readouterr().out
    model, info = LlavaForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert model.num_parameters() <= 3_000_000
    assert AutoProcessor.from_pretrained(tmp_path).chat_template
