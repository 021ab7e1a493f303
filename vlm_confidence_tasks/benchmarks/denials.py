"""Whether an answer denies what it names: "not B", "B is wrong"."""

import re

# How far before a word its denial begins at most, in characters.
_REACH = 120
# What a denial may have between itself and the word: "I don't think the answer is B".
_BETWEEN = (
    r"be|been|is|it|it['\u2019]s|this|that|that['\u2019]s|the|an?|one|say|think|believe|mean|answer|"
    r"option|choice|letter|correct|right|best|either|to|\w+ly"
)
_BEFORE = re.compile(
    r"(?:n['\u2019]t|\b(?:not|never|cannot|neither|nor|except|unlikely|(?:i|we) doubt|"
    r"(?:anything|everything|all) but|(?:rather|other) than|instead of|rul(?:e|es|ed|ing) out|"
    r"(?:wrong|incorrect|false)(?=[ \t]+(?:answer|option|choice)\b)))"
    rf"(?:[ \t]+(?:{_BETWEEN}))*[ \t][^\w.,;:!?\n]*\Z",
    re.I,
)
# "B. Red is wrong", "B: false" and "B) not red" are B and its text: a verb must follow.
_VERB = r"is|are|was|were|seems?|looks?|appears?|can|could|would|should|must|may|might|will|does|do"
_AFTER = re.compile(
    r"[^\w\s.,;:!?]*[ \t]+"
    rf"(?:(?:\w+n['\u2019]t|cannot)\b|(?:{_VERB})(?:[ \t]+(?:{_BETWEEN}))*[ \t]+"
    r"(?:not|never|neither|incorrect|wrong|false|unlikely|impossible|ruled out|excluded)\b)",
    re.I,
)


def denied(text: str, start: int, end: int) -> bool:
    """Whether the words around `text[start:end]` deny it.

    >>> denied("It cannot be B", 13, 14), denied("B isn't right", 0, 1), denied("B. Not red", 0, 1)
    (True, True, False)
    """
    return bool(_BEFORE.search(text, max(0, start - _REACH), start) or _AFTER.match(text, end))
