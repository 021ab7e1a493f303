"""Reading the label that an answer states."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from vlm_confidence_tasks.benchmarks import answer_cues as cues
from vlm_confidence_tasks.benchmarks.answer_words import Mention, NamedLabel, mentions
from vlm_confidence_tasks.benchmarks.denials import denied
from vlm_confidence_tasks.benchmarks.refusals import refuses_at, unrefused
from vlm_confidence_tasks.label_words import plain

_FULL_STOP = re.compile(r"\.(?![^\W\u3400-\u9fff])|\u3002")
_AND_OR = re.compile(r"\s+(?:(?:and|or|nor)\s+)?|[ ]*[或和][ ]*", re.I)
_OR = re.compile(
    r"[^\w.;:!?\n]{0,9}(?:[/,\u3001]|\b(?:and|or|nor)\b|或者?|还是|還是|和|与|與)[^\w.;:!?\n]{0,9}"
    r"(?:(?:and|or|nor)\b\W{0,9})?(?:(?:the|option|choice|letter|maybe|perhaps|possibly)\b\W{0,9}|选项|選項){0,4}",
    re.I,
)
_OR_BEFORE = re.compile(r"(?:\b(?:either|or)|或者?|还是|還是)[\s,]*\Z", re.I)
_CLAUSE_END = re.compile(
    r"[,;:!?()\n\u2014\u3002]|\.(?!\w)|而|\b(?:because|since|as|while|whereas|so|thus|therefore|but)\b"
    r"|\A[^\w]*(?:rather than|instead of|not)\b",
    re.I,
)
# Members of a list share its denial: "not A, B or C".
_LISTED = re.compile(
    r"(?![ \t]*\(\Z)[^\w;:!?\n]*(?:(?:\b(?:and|or|nor)\b|[和与與或])[^\w;:!?\n]*)?", re.I
)
# A letter with one of these behind it heads an option: "B) Vitamin A", "**D**: Both A and B".
_OPTION_MARK = re.compile(r"[*_]*[ ]?([)\].:\u3001\u3011\n]|[-\u2013\u2014](?=[ ]))")
_SENTENCE_END = re.compile(r"[.!?\n\u3002]")
# A base model goes on with another question of its own.
_NEXT_QUESTION = re.compile(r"\n[^\w\n]*(?:question|q|user|human)\b[ ]?\d*[^\w\n]*:", re.I)
# How far from its cue a label may stand: "The answer is the red cup (B)".
_REACH = 100

Group = list[Mention]


def parse_answer(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that `text` states, or None if it states none or several; see `find_answer`.

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
    r"""Return the label that `text` states and where, or None if it states none or several.

    A label counts as a whole word, in any case, full-width too, punctuation ignored. The first
    of these ways to answer decides, that the text has:

    1. A cue with a label, of which the last counts: "the answer is B", "\boxed{B}", "I choose
       B", "B is correct", "so B", "actually, B", in Chinese too (`answer_cues.py`).
    2. A letter with its mark at the beginning: "D) Both A and B". A list of options is none.
    3. A label alone in the last line, of letters the last sentence.
    4. What may be: "maybe B"; all such labels must agree.
    5. "Option B", all of which must agree.
    6. The first sentence that names a label of which it does not only tell something.

    It states none if these are two different ones ("A or B"), or denied ("B is wrong"). What a
    clause denies is left out where another names a label: "It can't be B; it is D".

    - "A" and "I" before another word are words, not letters of options; "°C" is a unit.
    - "Yes" and "No" count at the beginning of a sentence, alone between punctuation, and as
      alternatives ("yes or no"). "No idea" is no answer, nor is "The answer is no dog".
    - Where an answer refuses, as in "No image was provided", only 1 and 2 count.

    >>> find_answer("I think it is b)", ("A", "B"))
    NamedLabel(label='B', start=14, end=15)
    """
    text = plain(text)
    following = _NEXT_QUESTION.search(text)
    first = None if following is None else _read(text[: following.start()], labels)
    return first or _read(text, labels)


def _read(text: str, labels: Sequence[str]) -> NamedLabel | None:
    words = mentions(text, labels)
    if not words:
        return None
    if group := _stated(text, words):
        return _agreed(text, group)
    listed = _listed(words, labels)
    words = unrefused(text, [word for word in words if word not in listed])
    for way in (_begun, _alone, _supposed, _options, _named):
        if group := way(text, words):
            return _agreed(text, group)
    return None


def _stated(text: str, words: Sequence[Mention]) -> Group:
    """Return the label that is stated last behind or before a cue, and alternatives to it."""
    groups: list[Group] = []
    for start, index in sorted(_cued(text, words)):
        word = words[index]
        if word.has_noun or _is_condition(text, start, word) or refuses_at(text, word):
            continue
        group = _alternatives(text, words, index)
        if groups and _OR_BEFORE.search(text, max(0, start - 8), start):
            groups[-1] += group
        elif _undenied(text, group):
            groups.append(group)
    return groups[-1] if groups else []


def _cued(text: str, words: Sequence[Mention]) -> Iterator[tuple[int, int]]:
    """Yield where a statement begins and the index of its label."""
    starts = [word.start for word in words]
    places = {start: index for index, start in enumerate(starts)}
    for cue in cues.stated.finditer(text):
        index = places.get(cue.end(), bisect_left(starts, cue.end()))
        if index < len(words) and (
            words[index].start == cue.end() or _in_brackets(text, cue.end(), words[index])
        ):
            yield cue.start(), index
    for cue in cues.concluded.finditer(text):
        if cue.end() in places and _is_closed(text, words, places[cue.end()]):
            yield cue.start(), places[cue.end()]
    first = 0
    for index, word in enumerate(words):
        if index and not _OR.fullmatch(text, words[index - 1].end, word.start):
            first = index
        if cues.right.match(text, word.end):
            yield words[first].start, first


def _is_closed(text: str, words: Sequence[Mention], index: int) -> bool:
    """Whether a clause ends with a label and those listed with it: not "so A and B are wrong"."""
    while index + 1 < len(words) and _OR.fullmatch(text, words[index].end, words[index + 1].start):
        index += 1
    return words[index].is_closed


def _in_brackets(text: str, start: int, word: Mention) -> bool:
    """Whether a label in brackets ends what begins at `start`: "the red cup (B)"."""
    if word.start - start > _REACH or _SENTENCE_END.search(text, start, word.start):
        return False
    bracketed = word.before.endswith("(") and word.after.startswith(")")
    return (
        bracketed
        or re.search(r"\boption \Z", text[max(0, word.start - 8) : word.start]) is not None
    )


def _is_condition(text: str, start: int, word: Mention) -> bool:
    """Whether the clause of a statement only supposes it: "if the answer is A"."""
    clause = re.split(r"[.,;:!?\n\u3002]", text[max(0, start - 60) : word.start])[-1]
    return cues.condition.search(clause) is not None or word.following == "if"


def _alternatives(text: str, words: Sequence[Mention], index: int) -> Group:
    """Return a word and those that are listed with it: "A, B or C"."""
    group = [words[index]]
    while index + 1 < len(words):
        index += 1
        word = words[index]
        if not _OR.fullmatch(text, group[-1].end, word.start) or word.is_subject:
            break
        if denied(text, word.start, word.end):
            break
        group.append(word)
    return group


def _listed(words: Sequence[Mention], labels: Sequence[str]) -> set[Mention]:
    """Return the words that head a list of all options, each with its mark."""
    marked = [(word, mark[1]) for word in words if (mark := _OPTION_MARK.match(word.after))]
    heads = [
        (word, mark)
        for word, mark in marked
        if (word.is_first or "\n" in word.before or (mark in ").:" and word.next))
    ]
    heads = [(word, mark) for word, mark in heads if mark == heads[0][1]]
    if len(labels) < 2 or [word.label for word, _ in heads[:2]] != list(labels[:2]):
        return set()
    return {word for word, _ in heads if not word.says_yes_or_no}


def _begun(text: str, words: Sequence[Mention]) -> Group:
    """Return the letter with its mark that a text begins with."""
    if not words or words[0].says_yes_or_no or words[0].is_subject:
        return []
    (first, *_), mark = words, _OPTION_MARK.match(words[0].after)
    begins = first.is_first and not any(map(str.isalnum, first.before))
    if not begins or mark is None or len(first.label) > 1:
        return []
    if mark[1] == "\n":
        return [first, *_alone(text, words[1:])]
    return _alternatives(text, words, 0)


def _alone(text: str, words: Sequence[Mention]) -> Group:
    """Return the label that is the last line, or of letters the last sentence, alone."""
    if not words or words[0].is_first and words[0].stands_alone:
        return []
    if words[-1].next or not words[-1].begins or not words[-1].counts:
        return []
    last = words[-1]
    if last.is_first or any(map(str.isalnum, last.after)):
        return []
    if last.says_yes_or_no and (words[0].is_first or "\n" not in last.before):
        return []
    return [last]


def _supposed(text: str, words: Sequence[Mention]) -> Group:
    """Return all labels behind words such as "maybe"."""
    found = _behind(cues.supposed, text, words)
    return [word for word in found if word.is_closed or _OR.match(text, word.end)]


def _options(text: str, words: Sequence[Mention]) -> Group:
    """Return all labels behind "option", without those of which something is told if others are."""
    if words and words[0].is_first and words[0].stands_alone:
        return []
    found = _behind(cues.option, text, words)
    return [word for word in found if not word.is_subject] or found


def _behind(cue: re.Pattern[str], text: str, words: Sequence[Mention]) -> Group:
    ends = {found.end() for found in cue.finditer(text)}
    groups = [
        _alternatives(text, words, index)
        for index, word in enumerate(words)
        if word.start in ends and not word.has_noun
    ]
    return sorted({word for group in groups for word in group}, key=lambda word: word.start)


def _named(text: str, words: Sequence[Mention]) -> Group:
    """Return the labels of the first sentence that names one and does not only tell of it."""
    pairs = [
        pair
        for pair in pairwise(words)
        if pair[0].label != pair[1].label and _AND_OR.fullmatch(text, pair[0].end, pair[1].start)
    ]
    asked = {word for pair in pairs for word in pair if pair[1].after.lstrip().startswith("?")}
    # Of several labels, one that is asked about is not stated: "Is it A? No. Is it B? No."
    if len({word.label for word in words}) > 1:
        asked |= {word for word in words if word.after.lstrip(")* ").startswith("?")}
    alternatives = {word for pair in pairs for word in pair} - asked
    named = [
        word
        for word in words
        if word in alternatives
        or (word.counts and word not in asked and not _is_condition(text, word.start, word))
    ]
    ends = [0, *(stop.end() for stop in _FULL_STOP.finditer(text)), len(text) + 1]
    sentences = _between(named, ends)
    telling = (part for part in sentences if any(not word.is_subject for word in part))
    return next(telling, named)


def _between(words: Sequence[Mention], ends: Sequence[int]) -> Iterator[Group]:
    """Divide words by the sentences that they stand in, given where these end."""
    parts: dict[int, Group] = {}
    for word in words:
        parts.setdefault(bisect_left(ends, word.start + 1), []).append(word)
    yield from parts.values()


def _agreed(text: str, group: Sequence[Mention]) -> NamedLabel | None:
    """Return the first mention in clauses without a denial, None if these differ."""
    stated = _undenied(text, group)
    return stated[0].named if len({word.label for word in stated}) == 1 else None


def _undenied(text: str, group: Sequence[Mention]) -> Group:
    return [
        word
        for clause in _clauses(text, group)
        if not any(denied(text, word.start, word.end) for word in clause)
        for word in clause
    ]


def _clauses(text: str, group: Sequence[Mention]) -> list[Group]:
    """Divide words by the clauses that they stand in."""
    clauses = [[group[0]]]
    for one, other in pairwise(group):
        between = text[one.end : other.start]
        if _CLAUSE_END.search(between) and not _LISTED.fullmatch(between):
            clauses.append([])
        clauses[-1].append(other)
    return clauses
