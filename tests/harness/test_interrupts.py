"""A signal ends the run where something is left to ask, and only there."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from vlm_confidence_tasks.harness.interrupts import Interrupted, Interrupts


def test_a_signal_during_the_last_answers_lets_the_run_finish() -> None:
    with Interrupts() as interrupts:
        interrupts.stop_if_asked(3, 10, None)
        os.kill(os.getpid(), signal.SIGTERM)
        interrupts.stop_if_asked(10, 10, None)
        with pytest.raises(Interrupted, match="stopped by SIGTERM after 9 of 10 answers"):
            interrupts.stop_if_asked(9, 10, Path("kept"))


def test_afterwards_signals_do_what_they_did() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before
        os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGTERM) == before
