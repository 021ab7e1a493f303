"""Multiple choice: options under letters, as the prompts of several benchmarks list them."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

ASK_FOR_LETTER = "Answer with the option's letter from the given choices directly."


def letters(options: Sequence[str]) -> tuple[str, ...]:
    """Return as many letters as there are options.

    >>> letters(["red", "green", "blue"])
    ('A', 'B', 'C')

    Raises:
        ValueError: There are more options than letters.
    """
    if len(options) > len(ascii_uppercase):
        raise ValueError(f"{len(options)} options, but only {len(ascii_uppercase)} letters")
    return tuple(ascii_uppercase[: len(options)])


def lettered(options: Sequence[str]) -> str:
    r"""List the options under their letters, a line each.

    >>> lettered(["red", "green"])
    'A. red\nB. green'
    """
    pairs = zip(letters(options), options, strict=True)
    return "\n".join(f"{letter}. {option}" for letter, option in pairs)
