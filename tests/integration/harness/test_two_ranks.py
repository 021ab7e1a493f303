"""A signal in one of two processes that has all its answers."""

from __future__ import annotations

from pathlib import Path

from commands import Commands
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
        # The second call has the rank's last answers.
        if (os.environ["RANK"], self.calls) == ("1", 2):
            os.kill(os.getpid(), signal.SIGTERM)
        return answers


MODELS = [ModelManifest(model_id="signalled", chat_class_path="signalled_model.Signalled")]
"""
COMMAND = evaluate_command("pope_eps0.3", "--model", "signalled", "--use_cache", "cache")[1:]


def test_a_signal_after_a_ranks_last_answer_does_not_end_the_run(
    commands: Commands, few_questions: Path, sweep: Run, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    environment = {
        "VLM_CONFIDENCE_DATA": str(few_questions),
        "PYTHONPATH": install_models(tmp_path / "site", "signalled_model", SIGNALLED),
    }
    ranks = commands.start_ranks(tmp_path, *COMMAND, environment=environment)
    first, second = (rank.wait() for rank in ranks)
    assert "SIGTERM: stops after the answers under way" in second.output
    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert first.samples("pope_eps0.3") == sweep.samples("pope_eps0.3")
    # The summary is of the documents of both, and printed once.
    (line,) = [line for line in sweep.output.splitlines() if line.startswith("pope_eps0.3  ")]
    assert first.output.count(line.split(maxsplit=1)[1]) == 1
    assert "Clean -> perturbed" not in second.output
