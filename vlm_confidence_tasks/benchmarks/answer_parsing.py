"""Reading the label that an answer names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

# "The answer is (b)", "Correct option: c".
_ANSWER_IS = re.compile(
    r"\b(?:answer|option|choice)(?:\s+is\b|\s*:)[^\w.]*"
    r"(?:(?:the|option|choice|letter)\b[^\w.]*)*",
    re.I,
)
_OPTION = re.compile(r"\b(?:option|choice)\b[^\w.]*", re.I)
# Contractions, hyphenated words and abbreviations are words: "I'm", "T-shirt", "a.m.".
_WORD = re.compile(r"(?:[^\W_]\.){2,}|[^\W_]+(?:['\u2019-][^\W_]+)*")
_FOLLOWING_WORD = re.compile(rf"[ \t]+({_WORD.pattern})")
# Words that follow a letter "A" and cannot follow an article.
_AFTER_LETTER = frozenset(("is", "and", "or", "nor", "but", "because", "since"))
_FULL_STOP = re.compile(r"\.(?!\w)|\u3002")
_BEGINNING = re.compile(r"(?:^|[.!?:\n\u3002])[^\w,;]*\Z")
_MARK_BEFORE = re.compile(r"(?:^|[^\w\s]|[_\n])\s*\Z")
_MARK_AFTER = re.compile(r"\s*(?:[^\w\s]|_|\Z)|[ \t]*\n")
_AND_OR = re.compile(r"\s+(?:(?:and|or|nor)\s+)?", re.I)
_NEGATION = re.compile(r"(?:\bnot|n['\u2019]t)\s+\W*\Z", re.I)


class NamedLabel(NamedTuple):
    """A label, and the part of a text that names it, `text[start:end]`."""

    label: str
    start: int
    end: int


def parse_answer(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that `text` names, or None if it names none or several.

    Args:
        text: The model's answer.
        labels: The closed set of answers, each one word.

    Examples:
        >>> parse_answer("Yes, there is.", ("Yes", "No"))
        'Yes'
        >>> parse_answer("A dog is on the left. The answer is (b).", ("A", "B"))
        'B'
        >>> parse_answer("There is no way to tell.", ("Yes", "No")) is None
        True
        >>> parse_answer("Yes and no", ("Yes", "No")) is None
        True
    """
    found = find_answer(text, labels)
    return None if found is None else found.label


def find_answer(text: str, labels: Sequence[str]) -> NamedLabel | None:
    """Return the label that `text` names and where, or None if it names none or several.

    A label counts as a whole word, in any case, punctuation ignored. One after "answer is"
    wins, then one after "option", unless the text begins with a label and a mark ("B. Option
    A shows a cat"). Else the first part before a full stop that names a label decides. It
    names none if it names two different ones, or one after "not".

    - "A" and "I" before another word are words, not letters of options.
    - "Yes" and "No" count at the beginning of a sentence, alone between punctuation, and as
      alternatives ("yes or no").

    Args:
        text: The model's answer.
        labels: The closed set of answers, each one word.

    >>> find_answer("I think it is b)", ("A", "B"))
    NamedLabel(label='B', start=14, end=15)
    """
    words = list(_label_words(text, labels))
    letters = [word for word in words if not _is_article(text, word, labels)]
    if found := _after(_ANSWER_IS, text, letters):
        return _agreed(text, found)
    alternatives = {
        word
        for one, other in pairwise(words)
        if one.label != other.label and _AND_OR.fullmatch(text, one.end, other.start)
        for word in (one, other)
    }
    named = [word for word in letters if word in alternatives or _counts(text, word)]
    begins = named and not _WORD.search(text, 0, named[0].start)
    if not (begins and _MARK_AFTER.match(text, named[0].end)) and (
        found := _after(_OPTION, text, words)
    ):
        return _agreed(text, found)
    ends = [0, *(stop.end() for stop in _FULL_STOP.finditer(text)), len(text) + 1]
    parts = ([word for word in named if start <= word.start < end] for start, end in pairwise(ends))
    return next((_agreed(text, part) for part in parts if part), None)


def _label_words(text: str, labels: Sequence[str]) -> Iterator[NamedLabel]:
    """Yield the words of a text that are labels in any case."""
    by_name = {label.casefold(): label for label in labels}
    for word in _WORD.finditer(text):
        if (label := by_name.get(word.group().casefold())) is not None:
            yield NamedLabel(label, *word.span())


def _is_article(text: str, word: NamedLabel, labels: Collection[str]) -> bool:
    """Whether a letter is the article "a" or the pronoun "I", by the word after it."""
    if word.label.casefold() not in ("a", "i"):
        return False
    following = _FOLLOWING_WORD.match(text, word.end)
    if following is None:
        return False
    name = following[1].casefold()
    return name not in _AFTER_LETTER and name not in {label.casefold() for label in labels}


def _counts(text: str, word: NamedLabel) -> bool:
    """Whether a word is an answer where it stands; all are but "no" as in "no dog"."""
    if word.label.casefold() not in ("yes", "no"):
        return True
    if _BEGINNING.search(text, 0, word.start):
        return True
    before, after = _MARK_BEFORE.search(text, 0, word.start), _MARK_AFTER.match(text, word.end)
    return before is not None and after is not None


def _after(cue: re.Pattern[str], text: str, words: Sequence[NamedLabel]) -> list[NamedLabel]:
    """Return the words that stand right after a cue."""
    ends = {found.end() for found in cue.finditer(text)}
    return [word for word in words if word.start in ends]


def _agreed(text: str, named: Sequence[NamedLabel]) -> NamedLabel | None:
    """Return the first of several mentions of one label, None if they differ or are negated."""
    negated = any(_NEGATION.search(text, 0, word.start) for word in named)
    return None if negated or len({word.label for word in named}) > 1 else named[0]
