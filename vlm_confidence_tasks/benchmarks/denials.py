"""Whether an answer denies what it names: "not B", "B is wrong"."""

import re

# How far before a word its denial begins at most, in characters.
_REACH = 120
# What a denial may have between itself and the word: "I don't think the answer is B".
_BETWEEN = (
    r"be|been|is|it|it['\u2019]s|this|that|that['\u2019]s|the|an?|one|say|think|believe|mean|choose|pick|select|go|with|answer|"
    r"option|choice|letter|correct|right|best|either|to|\w{1,20}ly"
)
_BEFORE = re.compile(
    r"(?:n['\u2019]t|\b(?:not|never|cannot|neither|nor|none of|except|unlikely|(?:i|we) doubt|"
    r"(?:anything|everything|all) but|(?:rather|other) than|instead of|rul(?:e|es|ed|ing) out|"
    r"(?:wrong|incorrect|false)(?=[ \t]+(?:answer|option|choice)\b)))"
    rf"(?:[ \t]+(?:{_BETWEEN})){{0,9}}[ \t][^\w.,;:!?\n]*\Z",
    re.I,
)
_VERB = r"is|are|was|were|seems?|looks?|appears?|can|could|would|should|must|may|might|will|does|do"
# "B. Red is wrong", "B: false", "B) not red" and "(B) Cannot tell" are B and its text: a verb must
# follow, in small letters behind a bracket.
_AFTER = re.compile(
    r"(?![)\]][ \t]+(?-i:[A-Z]))[^\w\s.,;:!?]*[ \t]+"
    rf"(?:(?:\w{{1,9}}n['\u2019]t|cannot)\b|(?:{_VERB})(?:[ \t]+(?:{_BETWEEN})){{0,9}}[ \t]+"
    r"(?:not|never|neither|incorrect|wrong|false|unlikely|impossible|ruled out|excluded)\b)",
    re.I,
)
_CHINESE_BEFORE = re.compile(
    r"(?:不[应應该該可能会會]*(?:是|为|為|选择?|選擇?)|并非|並非|排除了?|除了|而非)"
    r"(?:选项|選項|答案)?[^\w\s]{0,3}\Z"
)
_CHINESE_AFTER = re.compile(
    r"[^\w\s]{0,3}(?:选项|選項|项|項)?[也都均]*(?:是|明显|明顯|显然|顯然|可以|应|應|被){0,4}"
    r"(?:错|錯|不正确|不正確|不[对對符合可是能]|排除)"
)


def denied(text: str, start: int, end: int) -> bool:
    """Whether the words around `text[start:end]` deny it.

    >>> denied("It cannot be B", 13, 14), denied("B isn't right", 0, 1), denied("B. Not red", 0, 1)
    (True, True, False)
    """
    before = (text, max(0, start - _REACH), start)
    return any(
        found is not None
        for found in (
            _BEFORE.search(*before),
            _AFTER.match(text, end),
            _CHINESE_BEFORE.search(*before),
            _CHINESE_AFTER.match(text, end),
        )
    )
