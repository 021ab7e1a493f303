"""Signals that end a run, and the rank of this process."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, ClassVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def ranks() -> tuple[int, int]:
    """Return the rank of this process and how many there are, as the harness reads them."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


class Interrupted(SystemExit):
    """A signal ended the run at a place from which it can go on.

    Not an `Exception`, so that it is not handled as a failed answer; the process ends with 1
    and its one line.
    """


class Interrupts:
    """Delays SIGINT and SIGTERM in the block until the run reaches a place where it can stop.

    Only the first signal is delayed: its handler restores the previous handlers, so that a
    second one acts at once. Only the main thread may set handlers; in others nothing is done.

    Attributes:
        caught: The signal that came, if any.
        last: The last signal in this process, in whichever run: a run whose answers were all
            given ends normally, but no further run should begin.
    """

    last: ClassVar[signal.Signals | None] = None

    def __init__(self) -> None:
        """Start with no signal."""
        self.caught: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        """Set the handlers."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Restore the previous handlers."""
        for number, handler in self._before.items():
            # None: set by other than Python code, which cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.caught = Interrupts.last = signal.Signals(number)
        self.__exit__(None, None, None)
        # Not through a stream or the logger, whose locks this very thread may hold.
        line = (
            f"\n{self.caught.name}: stops after the answers under way; a second one stops at once\n"
        )
        os.write(2, line.encode())

    def stop_if_signalled(self, answers: int, total: int, folder: Path | None) -> None:
        """End the run if a signal came and answers are missing.

        Args:
            answers: Number of answers of this process so far.
            total: Number that it is to come to.
            folder: Where they are cached, None if they are not.

        Raises:
            Interrupted: A signal came.
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
