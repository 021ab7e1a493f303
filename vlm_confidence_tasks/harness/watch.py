"""Whose rows is generate() running? Bookkeeping between look-ups and answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.harness.errors import MeasurementError
from vlm_confidence_tasks.harness.plan import Ask

LESS = (
    "a smaller --batch_size, a shorter dtype, quantisation or the task's max_side needs less memory"
)

LabelTokens = tuple[tuple[int, ...], ...]


def failed(ask: Ask, what: str, cause: BaseException | None = None) -> NoReturn:
    """End the run over one ask.

    Raises:
        MeasurementError: Always.
    """
    shown = ask.variant if ask.first is None else f"{ask.variant}, second turn"
    raise MeasurementError(
        str(ask.task.task_name), ask.document, ask.question.question_id, shown, what
    ) from cause


def one_line(error: BaseException) -> str:
    """Return an error's type and the first line of its message.

    Without addresses in memory, which are others in each run.

    >>> one_line(OSError("cannot identify <_io.BytesIO object at 0x7f20757b0900>"))
    'OSError: cannot identify <_io.BytesIO object>'
    """
    lines = re.sub(r" at 0x[0-9a-fA-F]+", "", str(error)).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


class Watch:
    """Tells the probe which documents a batch holds, and keeps what it read of them.

    Adapters look documents up in the order in which they then lay out the rows of the
    next generate(): the look-ups since the last one are its batch.
    """

    def __init__(self, tokenizer: Any, progress: Callable[[int], Any]) -> None:
        """Start with nothing looked up.

        Args:
            tokenizer: The model's tokenizer.
            progress: Called with the number of answers that have just been generated.
        """
        self._progress = progress
        self._tokens = lru_cache(maxsize=None)(lambda labels: probe.label_tokens(tokenizer, labels))
        self._pending: list[Ask] = []
        self._failure: tuple[Ask | None, BaseException] | None = None
        self._read: dict[Ask, probe.Reading] = {}

    def looked_up(self, ask: Ask) -> None:
        """Take down a look-up. Adapters may repeat one while they build a batch."""
        if ask not in self._pending:
            self._pending.append(ask)

    def rows(self) -> list[LabelTokens]:
        """Return the label tokens of the batch that is about to be generated."""
        if self._failure is not None:
            raise probe.ProbeError("an earlier answer of this call failed")
        if not self._pending:
            raise probe.ProbeError("generate() was called, but no document was looked up for it")
        return [self._tokens(ask.key.labels) for ask in self._pending]

    def options(self) -> list[tuple[str, ...]]:
        """Return the options to score of each row of that batch."""
        return [ask.options for ask in self._pending]

    def inside(self) -> bool:
        """Whether the inside of that batch is to be captured."""
        return any(ask.inside for ask in self._pending)

    def deliver(self, readings: Sequence[probe.Reading]) -> None:
        """Take the batch's numbers, in the order of its rows."""
        self._read.update(zip(self._pending, readings, strict=True))
        self._progress(len(readings))
        self._pending = []

    def fail(self, error: BaseException) -> None:
        """Take down what went wrong; the first failure is the one that is reported."""
        if self._failure is None:
            self._failure = (self._pending[-1] if self._pending else None, error)
        self._pending = []

    def reading(self, ask: Ask) -> probe.Reading | None:
        """Hand out what was read of an ask, once."""
        return self._read.pop(ask, None)

    def forget(self) -> None:
        """Drop what was read in a call that failed, before these asks are put again."""
        self._read.clear()

    def finish(self, asks: Sequence[Ask], raised: BaseException | None) -> None:
        """End a call of the adapter, whether it raised or swallowed what went wrong.

        Raises:
            MeasurementError: Something did; names the document it happened on.
        """
        last = self._pending[-1] if self._pending else None
        failure, self._failure, self._pending = self._failure, None, []
        if failure is not None:
            ask, error = failure
            if isinstance(error, MeasurementError):
                raise error
            if probe.out_of_memory(error):
                failed(ask or asks[0], f"{one_line(error)}; nothing was scored: {LESS}", error)
            failed(
                ask or asks[0],
                f"generate() failed with {one_line(error)}; nothing was scored: mend the model "
                "or its arguments and run again",
                error,
            )
        if raised is not None:
            failed(
                last or asks[0],
                f"the adapter failed with {one_line(raised)}; nothing was scored",
                raised,
            )
