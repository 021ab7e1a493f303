"""Reading the label that an answer names."""

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from vlm_confidence_tasks.benchmarks.denials import denied

# "The answer is (b)", "Correct option: c".
_ANSWER_IS = re.compile(
    r"\b(?:answer|option|choice)(?:\s+(?:is|(?:would|should|must)\s+be)\b|\s*:)[^\w.]*"
    r"(?:(?:the|option|choice|letter)\b[^\w.]*)*",
    re.I,
)
_OPTION = re.compile(r"\b(?:option|choice)\b[^\w.]*", re.I)
# Contractions, hyphenated words and abbreviations are words: "I'm", "T-shirt", "a.m.".
_WORD = re.compile(r"(?:[^\W_]\.){2,}|[^\W_]+(?:['\u2019-][^\W_]+)*")
_FOLLOWING_WORD = re.compile(rf"[ \t]+({_WORD.pattern})")
# Words that follow a letter "A" and cannot follow an article.
_AFTER_LETTER = frozenset(("is", "and", "or", "nor", "but", "because", "since"))
# Words that follow an answer "no" and are no noun.
_AFTER_NO = _AFTER_LETTER | {"as", "for", "if", "in", "there", "it", "this", "that", "the", "i"}
_NO_ANSWER = frozenset(("idea", "clue", "doubt", "way", "comment", "answer"))
_DEGREE = ("\u00b0", "\u00ba")
_FULL_STOP = re.compile(r"\.(?!\w)|\u3002")
_BEGINNING = re.compile(r"(?:^|[.!?:\n\u3002])[^\w,;]*\Z")
_MARK_BEFORE = re.compile(r"(?:^|[^\w\s]|[_\n])\s*\Z")
_MARK_AFTER = re.compile(r"\s*(?:[^\w\s]|_|\Z)|[ \t]*\n")
_AND_OR = re.compile(r"\s+(?:(?:and|or|nor)\s+)?", re.I)
_OR = re.compile(
    r"[^\w.;:!?\n]*(?:[/,]|\b(?:and|or|nor)\b)[^\w.;:!?\n]*(?:(?:and|or|nor)\b\W*)?"
    r"(?:(?:the|option|choice|letter)\b\W*)*",
    re.I,
)
_CLAUSE_END = re.compile(
    r"[,;:!?()\n\u2014]|\b(?:because|since|as|while|whereas|so|thus|therefore)\b", re.I
)
# Members of a list share its denial: "not A, B or C".
_LISTED = re.compile(r"(?![ \t]*\(\Z)[^\w;:!?\n]*(?:(?:and|or|nor)\b[^\w;:!?\n]*)?", re.I)


class NamedLabel(NamedTuple):
    """A label, and the part of a text that names it, `text[start:end]`."""

    label: str
    start: int
    end: int


def parse_answer(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that `text` names, or None if it names none or several; see `find_answer`.

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
    names none if it names two different ones, or none but denied ones ("B is wrong"). What
    a clause denies is left out where another names a label: "It can't be B; it is D".

    - "A" and "I" before another word are words, not letters of options; "°C" is a unit.
    - "Yes" and "No" count at the beginning of a sentence, alone between punctuation, and as
      alternatives ("yes or no"). "No idea" is no answer, nor is "The answer is no dog".

    >>> find_answer("I think it is b)", ("A", "B"))
    NamedLabel(label='B', start=14, end=15)
    """
    words = list(_label_words(text, labels))
    letters = [word for word in words if not _is_article(text, word, labels)]
    if found := [word for word in _after(_ANSWER_IS, text, letters) if not _has_noun(text, word)]:
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
        label = by_name.get(word.group().casefold())
        if label is not None and not text.endswith(_DEGREE, 0, word.start()):
            yield NamedLabel(label, *word.span())


def _is_article(text: str, word: NamedLabel, labels: Collection[str]) -> bool:
    """Whether a letter is the article "a" or the pronoun "I", by the word after it."""
    if word.label.casefold() not in ("a", "i"):
        return False
    name = _following(text, word)
    return bool(name) and name not in _AFTER_LETTER.union(label.casefold() for label in labels)


def _has_noun(text: str, word: NamedLabel) -> bool:
    """Whether a "no" belongs to the word after it: "It is no dog", "No idea"."""
    if word.label.casefold() != "no":
        return False
    following = _following(text, word)
    begins = _BEGINNING.search(text, 0, word.start)
    return following in _NO_ANSWER if begins else following not in {"", *_AFTER_NO}


def _following(text: str, word: NamedLabel) -> str:
    """Return the next word, in lower case, "" where a mark or nothing comes before it."""
    following = _FOLLOWING_WORD.match(text, word.end)
    return following[1].casefold() if following else ""


def _counts(text: str, word: NamedLabel) -> bool:
    """Whether a word is an answer where it stands; all are but "no" as in "no dog"."""
    if word.label.casefold() not in ("yes", "no"):
        return True
    if _BEGINNING.search(text, 0, word.start):
        return not _has_noun(text, word)
    before, after = _MARK_BEFORE.search(text, 0, word.start), _MARK_AFTER.match(text, word.end)
    return before is not None and after is not None


def _after(cue: re.Pattern[str], text: str, words: Sequence[NamedLabel]) -> list[NamedLabel]:
    """Return the words that stand right after a cue, and alternatives to these ("A or B")."""
    ends = {found.end() for found in cue.finditer(text)}
    found: list[NamedLabel] = []
    for word in words:
        is_other = found and _OR.fullmatch(text, found[-1].end, word.start)
        if word.start in ends or (is_other and not denied(text, word.start, word.end)):
            found.append(word)
    return found


def _agreed(text: str, named: Sequence[NamedLabel]) -> NamedLabel | None:
    """Return the first mention in clauses without a denial, None if these differ."""
    stated = [
        word
        for clause in _clauses(text, named)
        if not any(denied(text, word.start, word.end) for word in clause)
        for word in clause
    ]
    return stated[0] if len({word.label for word in stated}) == 1 else None


def _clauses(text: str, named: Sequence[NamedLabel]) -> list[list[NamedLabel]]:
    """Divide the words by the clauses that they stand in."""
    clauses = [[named[0]]]
    for one, other in pairwise(named):
        between = (text, one.end, other.start)
        if _CLAUSE_END.search(*between) and not _LISTED.fullmatch(*between):
            clauses.append([])
        clauses[-1].append(other)
    return clauses
