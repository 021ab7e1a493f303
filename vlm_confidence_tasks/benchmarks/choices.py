"""Multiple choice: options under letters, as the prompts of several benchmarks list them."""

import re
from collections.abc import Sequence
from string import ascii_uppercase

from vlm_confidence_tasks.types import Question

ASK_FOR_LETTER = "Answer with the option's letter from the given choices directly."
IMAGE_MARKER = re.compile(r"<image(?: \d+)?>")


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


def option_texts(question: Question) -> tuple[str, ...]:
    """Return the texts whose likelihood as an answer can be scored, one for each label.

    These are the options, or the labels where there are no options ("Yes", "No").

    Returns:
        The texts without white space at their ends; () for an open question, and where an
        option is empty or holds a picture, which no text can replace.

    >>> option_texts(Question("1", "x", "Which?", ("A", "B"), options=("red ", "blue")))
    ('red', 'blue')
    >>> option_texts(Question("1", "x", "Which?", ("A", "B"), options=("red", "<image 2>")))
    ()
    """
    texts = tuple(text.strip() for text in question.options or question.labels)
    return () if any(not text or IMAGE_MARKER.search(text) for text in texts) else texts
