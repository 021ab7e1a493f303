"""The training script writes a folder that loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from transformers import AutoProcessor, LlavaForConditionalGeneration

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "train_tiny_llava.py"


def test_two_steps_make_a_loadable_model(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--steps", "2", "--rows", "2", "--check", "2"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "held out" in done.stdout
    model, info = LlavaForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert model.num_parameters() <= 3_000_000
    assert AutoProcessor.from_pretrained(tmp_path).chat_template
