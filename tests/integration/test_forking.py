"""Commands that are forks behave as commands that are processes of their own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from commands import Child, Commands
from conftest import evaluate_command, run_command


def words_of(child: Child) -> bytes:
    """The command line by which a process was started."""
    try:
        return Path(f"/proc/{child.process}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("words", [["--version"], ["recompute", "gone.jsonl"], ["guess"]])
def test_a_fork_says_and_returns_what_a_fresh_process_does(
    words: list[str], tmp_path: Path
) -> None:
    fork, fresh = (
        run_command(["vlm-confidence", *words], tmp_path, fresh=fresh) for fresh in (False, True)
    )
    assert fork == fresh
    assert fork.output.strip() and fork.code == {"--version": 0, "guess": 2}.get(words[0], 1)


def test_a_command_is_killed_when_its_client_goes(commands: Commands, tmp_path: Path) -> None:
    sandbox = {"VLM_CONFIDENCE_DATA": "sandbox"}
    child = commands.start(tmp_path, *evaluate_command("pope_eps")[1:], environment=sandbox)
    child.wait_for_words("Perturbed:")
    assert child.is_running()
    child.leave()
    child.wait_until(lambda: False, patience=20)
    assert not child.is_running()
    assert not list(tmp_path.rglob("*_results.json"))


def test_variables_that_are_read_at_imports_need_a_fresh_process(
    commands: Commands, tmp_path: Path
) -> None:
    fork = commands.start(tmp_path, "--tasks", "list", log="fork")
    assert b"forking.py" in words_of(fork)
    fork.signal(signal.SIGKILL)
    assert fork.wait().code == -signal.SIGKILL
    fresh = commands.start(tmp_path, environment={"HF_HOME": str(tmp_path)}, log="fresh")
    fresh.wait_until(lambda: b"bin/lmms_eval" in words_of(fresh))
    assert b"forking.py" not in words_of(fresh)
    fresh.signal(signal.SIGKILL)
    assert fresh.wait().code == -signal.SIGKILL
