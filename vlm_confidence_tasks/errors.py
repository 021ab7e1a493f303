"""The errors that users see, each one line: what, where, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class TaskError(ValueError):
    """A task's YAML or data cannot be used."""


class RequestError(RuntimeError):
    """One request could not be answered or measured.

    Raised where the problem occurs, without a place; `evaluation.failures.located` turns it
    into a `MeasurementError`.
    """


class Place(NamedTuple):
    """The request that an error is about.

    Attributes:
        task: Name of the task.
        document: Index of the document.
        question_id: The document's own id.
        variant: How its images were shown, as text.
    """

    task: str
    document: int
    question_id: str
    variant: str = ""


class MeasurementError(RuntimeError):
    """An answer could not be measured; the run ends rather than scoring it.

    Attributes:
        place: The request.
        what: What happened and what to do.
    """

    def __init__(self, place: Place, what: str) -> None:
        """Join the place and the message to one line."""
        self.place, self.what = place, what
        super().__init__(
            f"task {place.task}, document {place.document} (question_id {place.question_id}), "
            f"variant {place.variant}: {what}"
        )


def one_line(error: BaseException) -> str:
    """Return an error's type and the first line of its message.

    Memory addresses are removed, since they differ between runs.

    >>> one_line(OSError("cannot identify <_io.BytesIO object at 0x7f20757b0900>"))
    'OSError: cannot identify <_io.BytesIO object>'
    """
    lines = _ADDRESS.sub("", str(error)).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def nearest(name: str, known: Iterable[str]) -> str:
    """Return what an error about an unknown name adds: the known one nearest to it, if any is near.

    >>> nearest("max_new_token", ["temperature", "max_new_tokens"])
    ' (did you mean max_new_tokens?)'
    """
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]}?)" if close else ""
