"""The contract by which the rows of a generate() are matched to documents.

A model adapter that calls transformers' `generate()` answers several requests in the rows of
one call. The numbers that the probe reads row by row belong to these requests, so whoever
knows the requests implements `BatchRows`, and an adapter keeps one of two promises:

1. **Look-ups** (every adapter of lmms-eval): between two calls of `generate()` it looks up the
   documents of the next batch, `task_dict[task][split][doc_id]`, in the order of the rows.
   Looking one up twice is harmless. `evaluation.batch_tracker` counts the look-ups.
2. **Announcement**: an adapter with an attribute `announce_rows` finds a function there while
   it is evaluated, and calls it with `[(task, doc_id), ...]`, one pair a row, before
   each `generate()`. It may then look documents up in any order, ahead of time or never.

A `generate()` whose number of rows is not that of the documents ends the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vlm_confidence_tasks.probe.reading import Reading


@dataclass(frozen=True, slots=True)
class Row:
    """What is read of one row of a batch.

    Attributes:
        labels: The closed set of answers.
        options: Texts to score after the prompt.
        representations: Whether hidden states are captured.
    """

    labels: tuple[str, ...]
    options: tuple[str, ...] = ()
    representations: bool = False


class BatchRows(Protocol):
    """Says what to read of each batch, and takes what was read."""

    def rows(self) -> Sequence[Row]:
        """Return the rows of the generate() that is about to run, in their order.

        Raises:
            ProbeError: They are not known.
        """

    def deliver(self, readings: Sequence[Reading]) -> None:
        """Take the readings of the generate() that has run, one a row."""

    def fail(self, error: BaseException) -> None:
        """Take the error of a generate() that failed, which adapters may swallow."""
