"""Signals in one of two processes: what is counted is what was answered, bar or no bar."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Child, Commands, rows
from conftest import Run, evaluate_command, install_models

# Sends its own process a signal while the requests of a call are answered.
SIGNALLED = """
import os
import signal

from lmms_eval.models.registry_v2 import ModelManifest
from vlm_confidence_tasks.models.llava import TinyLlava


class Signalled(TinyLlava):
    calls = 0

    def generate_until(self, requests):
        self.calls += 1
        answers = super().generate_until(requests)
        if (os.environ["RANK"], str(self.calls)) == ("1", os.environ["SIGNALLED_CALL"]):
            os.kill(os.getpid(), signal.SIGTERM)
        return answers


MODELS = [ModelManifest(model_id="signalled", chat_class_path="signalled_model.Signalled")]
"""
COMMAND = evaluate_command("pope_eps0.3", "--model", "signalled", "--use_cache", "cache")[1:]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for PYTHONPATH with the adapter, installed as a plugin."""
    return install_models(tmp_path_factory.mktemp("site"), "signalled_model", SIGNALLED)


def start(commands: Commands, folder: Path, data: Path, site: str, call: int) -> list[Child]:
    environment = {
        "VLM_CONFIDENCE_DATA": str(data),
        "PYTHONPATH": site,
        "SIGNALLED_CALL": str(call),
    }
    return commands.start_ranks(folder, *COMMAND, environment=environment)


def test_the_message_of_a_rank_without_a_bar_counts_its_answers(
    commands: Commands, few_questions: Path, site: str, tmp_path: Path
) -> None:
    first, second = start(commands, tmp_path, few_questions, site, call=1)
    stopped = second.wait()
    # The first one waits for the second, which is gone.
    first.signal(15)
    first.wait()
    assert stopped.code == 1
    # Each of its 12 documents has one clean answer and one to come.
    assert "stopped by SIGTERM after 12 of 24 answers; the same command" in stopped.last_line
    assert rows(tmp_path) >= 12


def test_a_signal_after_a_ranks_last_answer_does_not_end_the_run(
    commands: Commands, few_questions: Path, site: str, sweep: Run, tmp_path: Path
) -> None:
    ranks = start(commands, tmp_path, few_questions, site, call=2)
    first, second = (rank.wait() for rank in ranks)
    assert "SIGTERM: stops after the answers under way" in second.output
    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert first.samples("pope_eps0.3") == sweep.samples("pope_eps0.3")
    # The summary is of the documents of both, and printed once.
    (line,) = [line for line in sweep.output.splitlines() if line.startswith("pope_eps0.3  ")]
    assert first.output.count(line.split(maxsplit=1)[1]) == 1
    assert "Clean -> perturbed" not in second.output
