"""The contract by which the rows of a generate() are matched to documents.

A model adapter that calls transformers' `generate()` answers several requests in the rows of
one call. The probe measures each row, and a `BatchRows` assigns the rows to requests. For
that, an adapter must satisfy one of two contracts:

1. **Look-ups** (every adapter of lmms-eval): between two calls of `generate()` it looks up the
   documents of the next batch, `task_dict[task][split][doc_id]`, in the order of the rows.
   Repeated look-ups are ignored. `evaluation.batch_tracker` records them.
2. **Announcement**: during an evaluation an adapter's attribute `announce_rows`, if it has
   one, is replaced by a function. The adapter calls it with `[(task, doc_id), ...]`, one pair
   per row, before each `generate()`. It may then look documents up in any order or never.

A `generate()` with a different number of rows than documents ends the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vlm_confidence_tasks.probe.reading import Reading


@dataclass(frozen=True, slots=True)
class Row:
    """What to measure in one row of a batch.

    The probabilities of its labels, of texts after its prompt (`options`), and hidden states.
    """

    labels: tuple[str, ...]
    options: tuple[str, ...] = ()
    representations: bool = False


class BatchRows(Protocol):
    """Gives what to measure in each batch, and receives the readings."""

    def rows(self) -> Sequence[Row]:
        """Return the rows of the generate() about to run, in order, or raise ProbeError."""

    def deliver(self, readings: Sequence[Reading]) -> None:
        """Receive the readings of the generate() that has run, one per row."""

    def fail(self, error: BaseException) -> None:
        """Receive the error of a generate() that failed, which adapters may swallow."""
