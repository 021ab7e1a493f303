"""Texts that carry what a serving engine returned beside them, through adapters unmodified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vlm_confidence_tasks.errors import RequestError


@dataclass(frozen=True, slots=True)
class Served:
    """What a serving engine says of an answer beside its text and its numbers.

    Attributes:
        truncated: Whether it was cut off at the limit of tokens.
        filtered: Whether a content filter withheld it or a part of it.
        refused: Whether the engine marks it as a refusal.
        other_model: The name of the model that answered, if another one was asked; else None.
    """

    truncated: bool = False
    filtered: bool = False
    refused: bool = False
    other_model: str | None = None

    @property
    def withheld(self) -> bool:
        """Whether there is a reason why no text came."""
        return self.truncated or self.filtered or self.refused


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


def escaped(text: str) -> str:
    r"""Return a text with each half of a surrogate pair escaped, which no file can hold.

    Servers send one where they cut a text in the middle of a character.

    >>> print(escaped("Yes \ud83d"))
    Yes \ud83d
    """
    whole = text.encode("utf-8", "backslashreplace").decode()
    if whole == text:
        return text
    return CarryingText(whole, text.carried) if isinstance(text, CarryingText) else whole
