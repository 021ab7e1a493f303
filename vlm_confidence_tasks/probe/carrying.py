"""Texts that carry what a serving engine returned beside them, through adapters unmodified."""

from __future__ import annotations

from typing import Any

from vlm_confidence_tasks.errors import RequestError


class CarryingText(str):
    """An answer's text with what came with it.

    It is put in where an adapter's client returns a text, and taken out of what the adapter
    returns: so each answer has its own numbers, in whichever thread and order it came.
    """

    carried: Any

    def __new__(cls, text: str, carried: Any) -> CarryingText:
        """Make a text that carries something."""
        made = super().__new__(cls, text)
        made.carried = carried
        return made

    def __radd__(self, before: str) -> CarryingText:
        """Return what an adapter makes that adds the text to one of its own, often ""."""
        return CarryingText(before + str(self), self.carried)

    def strip(self, chars: str | None = None, /) -> CarryingText:
        """Return the stripped text, which carries the same."""
        return CarryingText(super().strip(chars), self.carried)


def carried(text: str) -> Any:
    """Return what came with a text; RequestError for the adapter's own, a sign of a failure."""
    if not isinstance(text, CarryingText):
        said = " ".join(text.split())[:200]
        raise RequestError(
            f"the adapter returned {said!r} in place of an answer of the model; nothing was "
            "scored: see its log"
        )
    return text.carried
