"""How MMMU reads an answer: the rules that lmms-eval's `mmmu_val` scores by.

They reproduce upstream's functions with their quirks, for comparison; the tests compare
both on random texts.
"""

import re
from collections.abc import Iterator, Sequence

# Taken off both ends of the text, one after the other and each once.
_TRIMMED = ",.!?;:'"
_LONG = 5

_CUES = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_EMPTY_TAILS = tuple(":,.!?;'")
_NOT_WITHIN_NUMBER = r"(?!e[+-]?\d)(?![,\d])"
_NUMBERS = tuple(
    re.compile(f"-?{number}")
    for number in (
        r"\b\d\d?\d?(?:,\d\d\d)+\b",
        r"\d+(?:\.\d+)?e[+-]?\d+",
        rf"(?:\d*\.\d+|\d+\b){_NOT_WITHIN_NUMBER}",
    )
)


def named_letter(text: str, labels: Sequence[str], options: Sequence[str]) -> str | None:
    """Return the letter that a text names, None if there is none.

    Letters in brackets come first, then letters before a space, then before a full stop;
    then, in a text of more than five words, options by their words. Of several, the one
    that stands last.

    >>> named_letter("Either (A) or (B)", ("A", "B"), ("red", "blue"))
    'B'
    >>> named_letter("It must be the one in blue", ("A", "B"), ("red", "blue"))
    'B'
    """
    for mark in _TRIMMED:
        text = text.strip(mark)
    text = f" {text} "
    for form, place in (("({})", "({})"), ("{} ", " {} "), ("{}.", " {} ")):
        named = [label for label in labels if form.format(label) in text]
        if named:
            return max(named, key=lambda label: text.rfind(place.format(label)))
    if len(text.split()) <= _LONG:
        return None
    words = text.lower()
    last = {
        label: words.rfind(option.lower())
        for label, option in zip(labels, options, strict=True)
        if option.lower() in words
    }
    return max(last, key=lambda label: last[label]) if last else None


def says(text: str, golds: Sequence[str]) -> bool:
    """Say whether an answer holds one of the right ones: as words within, or as a number.

    >>> says("So the total is 1,234 dollars", ["1234.0"]), says("an oak tree", ["oak"])
    (True, True)
    """
    wanted = [form for gold in golds for form in _forms(gold)]
    return any(_agrees(found, wanted) for found in _readings(text))


def _agrees(found: str | float, wanted: Sequence[str | float]) -> bool:
    if isinstance(found, float):
        return found in wanted
    return any(isinstance(form, str) and form in found for form in wanted)


def _readings(text: str) -> Iterator[str | float]:
    """Yield the candidate answers in a text: the ends of its lines, and their numbers."""
    text = text.strip().strip(".").lower()
    *lines, last = text.split("\n")
    tails = [*(_tail(line, _CUES) for line in lines), _tail(last, (*_CUES, "="))]
    phrases = [tail for tail in tails if tail and tail not in _EMPTY_TAILS] or [text]
    for phrase in phrases:
        yield from _forms(phrase)
        for pattern in _NUMBERS:
            for number in pattern.findall(phrase):
                yield from _forms(number)


def _tail(line: str, cues: Sequence[str]) -> str:
    """Return the shortest of what follows each cue; an empty one gives way to the next."""
    shortest = ""
    for cue in cues:
        if cue in line:
            tail = line.rpartition(cue)[2].strip()
            if not shortest or len(tail) < len(shortest):
                shortest = tail
    return shortest


def _forms(text: str) -> list[str | float]:
    """Return a number to two places, or lower-case words; a letter must stand at a space."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        pass
    text = text.lower()
    return [f" {text}", f"{text} "] if len(text) == 1 else [text]
