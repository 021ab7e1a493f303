"""A signal ends the run where something is left to ask, and only there."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from lmms_eval import __main__ as harness

from vlm_confidence_tasks.evaluation.signals import Interrupted, Interrupts
from vlm_confidence_tasks.harness import cli


@pytest.fixture(autouse=True)
def none_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Interrupts, "last", None)


def test_after_a_signal_no_further_run_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the command wraps is put back.
    monkeypatch.setattr(harness, "cli_evaluate_single", harness.cli_evaluate_single)
    monkeypatch.setattr(sys, "argv", "lmms_eval --model tiny_llava --tasks pope_eps0.3".split())
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        interrupts.stop_if_signalled(10, 10, None)
    with pytest.raises(Interrupted, match="lmms_eval: not begun, after SIGINT"):
        cli.main()


def test_the_runs_that_failed_before_a_signal_are_still_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def evaluate(arguments: object) -> None:
        if arguments.tasks == "one":
            raise ValueError("what went wrong")
        raise KeyboardInterrupt

    runs = tmp_path / "runs.yaml"
    runs.write_text("- {model: tiny_llava, tasks: one}\n- {model: tiny_llava, tasks: two}\n")
    monkeypatch.setattr(harness, "cli_evaluate_single", evaluate)
    monkeypatch.setattr(sys, "argv", ["lmms_eval", "--config", str(runs)])
    with pytest.raises(SystemExit):
        cli.main()
    failed, stopped = capsys.readouterr().err.splitlines()[-2:]
    assert failed == f"lmms_eval: error: run 1 of {runs}: what went wrong"
    assert stopped.startswith("lmms_eval: stopped by SIGINT")


def test_a_sigint_outside_of_an_evaluation_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(harness, "cli_evaluate_single", interrupted)
    monkeypatch.setattr(sys, "argv", "lmms_eval --model tiny_llava --tasks pope_eps0.3".split())
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("lmms_eval: stopped by SIGINT; the")


def test_the_message_says_what_was_kept() -> None:
    with Interrupts() as interrupts:
        interrupts.stop_if_signalled(3, 10, None)
        os.kill(os.getpid(), signal.SIGTERM)
        for folder, kept in (
            (Path("kept"), "the same command with --use_cache kept goes on from here"),
            (None, "nothing was kept: --use_cache DIR would have kept them"),
        ):
            with pytest.raises(Interrupted, match=f"by SIGTERM after 9 of 10 answers; {kept}"):
                interrupts.stop_if_signalled(9, 10, folder)


def test_signal_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGTERM) == before
