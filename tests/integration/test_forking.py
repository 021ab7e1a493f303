"""Commands that are forks behave as commands that are processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run_command


@pytest.mark.parametrize("words", [["--version"], ["recompute", "gone.jsonl"], ["guess"]])
def test_a_fork_says_and_returns_what_a_fresh_process_does(
    words: list[str], tmp_path: Path
) -> None:
    fork, fresh = (
        run_command(["vlm-confidence", *words], tmp_path, fresh=fresh) for fresh in (False, True)
    )
    assert fork == fresh
    assert fork.output.strip() and fork.code == {"--version": 0, "guess": 2}.get(words[0], 1)
