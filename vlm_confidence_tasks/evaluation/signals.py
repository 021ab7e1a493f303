"""Handles SIGINT and SIGTERM during a run; rank and world size."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def ranks() -> tuple[int, int]:
    """Return rank and world size from the variables that the harness reads."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


class Interrupted(SystemExit):
    """A signal ended the run after a completed call; the run can be resumed.

    Not an `Exception`, so that it is not handled as a failed answer; the process prints the
    message and exits with 1.
    """


class Interrupts:
    """Delays SIGINT and SIGTERM in the block until the run calls `stop_if_signalled`.

    Only the first signal is delayed: its handler restores the previous handlers, so that a
    second signal acts at once. In threads other than the main thread, which cannot set
    handlers, nothing is done.

    Attributes:
        last: The last signal in this process, in any run: a run that has all its answers ends
            normally, but no further run should begin.
    """

    last: ClassVar[signal.Signals | None] = None

    def __init__(self) -> None:
        """Start without a signal."""
        self.caught: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        """Set the handlers."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the previous handlers."""
        for number, handler in self._before.items():
            # None: the handler was not set by Python and cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.caught = Interrupts.last = signal.Signals(number)
        self.__exit__()
        # Not through a stream or the logger, whose locks this thread may hold.
        line = (
            f"\n{self.caught.name}: stops after the answers under way; a second one stops at once\n"
        )
        os.write(2, line.encode())

    def stop_if_signalled(self, answers: int, total: int, folder: Path | None) -> None:
        """End the run if a signal arrived and answers of this process are missing.

        Without a cache folder nothing was kept.

        Raises:
            Interrupted: A signal arrived.
        """
        if self.caught is None or answers >= total:
            return
        how = (
            "nothing was kept: --use_cache DIR would have kept them"
            if folder is None
            else f"the same command with --use_cache {folder} goes on from here"
        )
        raise Interrupted(
            f"lmms_eval: stopped by {self.caught.name} after {answers} of {total} answers; {how}"
        )
