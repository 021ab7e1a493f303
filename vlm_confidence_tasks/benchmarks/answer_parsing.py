"""Reading the label that an answer names."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LEAD = re.compile(r"^\W*(the\s+)?((correct|right|best)\s+)?(answer|option)\s*(is|:)\s*", re.I)
_SENTENCE_END = re.compile(r"\.(?=\s|$)")
_WORD = re.compile(r"[^\W_]+")


def parse_answer(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that `text` names, or None if it names none or several.

    A label counts where it stands as a whole word, in any case, punctuation ignored.
    The first sentence that names a label decides; if it names two different ones the
    text is unparsed. A label of one letter must be upper case ("a dog" is no answer A)
    unless it is all there is of the answer.

    Args:
        text: The model's answer.
        labels: The closed set of answers, each one word.

    Examples:
        >>> parse_answer("Yes, there is.", ("Yes", "No"))
        'Yes'
        >>> parse_answer("The answer is (b).", ("A", "B"))
        'B'
        >>> parse_answer("Yes and no", ("Yes", "No")) is None
        True
        >>> parse_answer("There is a dog", ("A", "B")) is None
        True
    """
    for sentence in _SENTENCE_END.split(_LEAD.sub("", text)):
        words = _WORD.findall(sentence)
        alone = len(words) == 1
        named = {label for label in labels for word in words if _names(word, label, alone)}
        if named:
            return named.pop() if len(named) == 1 else None
    return None


def _names(word: str, label: str, alone: bool) -> bool:
    if len(label) == 1 and not alone:
        return word == label
    return word.casefold() == label.casefold()
