"""The newcomer's first hour, from the first table to an own perturbation on a leaderboard."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from conftest import run_command
from test_docs import FIRST_HOUR, demo_command


def test_the_first_hour_ends_with_ones_own_perturbation_on_a_leaderboard(tmp_path: Path) -> None:
    assert [kind for kind, _ in FIRST_HOUR] == ["sh", "sh", "python", "yaml", "sh"]
    for kind, text in FIRST_HOUR:
        if kind != "sh":
            file = tmp_path / re.match(r"# (\S+)\n", text)[1]
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            continue
        for line in text.splitlines():
            words = demo_command() if line == "make demo" else shlex.split(line)
            if words[0] == "VLM_CONFIDENCE_DATA=sandbox":
                words = words[1:]
            limit = ["--limit", "24"] if words[0] == "lmms_eval" else []
            done = run_command([*words, *limit], tmp_path)
            assert done.code == 0, done.output
    board = json.loads((tmp_path / "results" / "board" / "leaderboard.json").read_text())
    flips = {
        (entry["model"], entry["task"]): "ifr_stripes" in entry["metrics"]
        for entry in board["entries"]
    }
    models = ("tiny_llava", "tiny_llava (load_in_4bit=True)")
    assert flips == {
        ("tiny_llava", "caption_eps0.3"): False,
        **{(model, "pope_eps0.3"): False for model in models},
        **{(model, "pope_stripes"): True for model in models},
    }
    # Each task is one column: the models' numbers stand beside each other.
    assert len(board["columns"]) == 3
