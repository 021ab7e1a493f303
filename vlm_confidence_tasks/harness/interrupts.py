"""Being told to stop, and which of several processes this is."""

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
    """The run was told to stop, and has stopped where it can go on.

    Not an `Exception`, so that nobody takes it for a failed answer; the process ends with 1
    and its one line.
    """


class Interrupts:
    """Holds back SIGINT and SIGTERM in the block until work comes to a good place to stop.

    Only the first one: it puts back what was there before, so that a second one acts at
    once. Other threads than the main one cannot do any of this, and do not.

    Attributes:
        caught: The one that came, if any.
        last: The one that came last in this process, whichever run it came in: a run whose
            answers were all given ends as ever, but none should begin after it.
    """

    last: ClassVar[signal.Signals | None] = None

    def __init__(self) -> None:
        """Start with no signal."""
        self.caught: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        """Begin to hold back."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            # None: put there by other than Python code, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.caught = Interrupts.last = signal.Signals(number)
        self.__exit__(None, None, None)
        # Not by way of a stream or the logger, which may be at work in this very thread.
        line = (
            f"\n{self.caught.name}: stops after the answers under way; a second one stops at once\n"
        )
        os.write(2, line.encode())

    def stop_if_asked(self, answers: int, total: int, folder: Path | None) -> None:
        """End the run if a signal came and there is something left to ask.

        Args:
            answers: How many there are so far.
            total: How many there were to be.
            folder: Where they are kept, None if they are not.

        Raises:
            Interrupted: One came.
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
