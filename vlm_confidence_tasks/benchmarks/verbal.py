"""Verbalised confidence: asking a model in words how certain it is of an answer.

The two prompts are those of "Object-Level Verbalized Confidence Calibration in VLMs via
Semantic Perturbation" (arXiv 2504.14848), after Kumar et al. 2024.
"""

import re

from vlm_confidence_tasks.benchmarks.answer_words import CHINESE
from vlm_confidence_tasks.label_words import plain
from vlm_confidence_tasks.types import Question

# Person of the prompt -> the prompt.
PROMPTS = {
    "third": "A Language model was asked: {question} Model's answer was: {answer}. "
    "How certain are you about model's answer? Answer with a percentage.",
    "first": "You were asked: {question} Your answer was: {answer}. "
    "How certain are you about your answer? Answer with a percentage.",
}

# A number that is none of thousands, and neither part of a word nor of a version.
_DIGITS = r"-?(?:\d+(?:\.\d+|,\d+(?![.,]?\d))?|\.\d+)(?:e[+-]?\d{1,3}(?!\w))?"
# "0 to 100", "between 0% and 100%".
_SCALE = (
    r"(?:between\s{1,3}[01](?:\.0)?\s?%?\s?and|[01](?:\.0)?\s?%?\s?(?:[-\u2013~]|to|至|到))"
    r"\s?(?:100?|1(?:\.0)?(?!\s?%))(?![\d.,]*\d)"
)
_NUMBER = re.compile(
    rf"(?<![^\W_{CHINESE}])(?<![.,])(?:-?[1-9]\d{{0,2}}(?:,\d{{3}})+(?!\d)|{_SCALE}"
    rf"|(?P<prefix>百分之)?(?P<value>{_DIGITS})(?:\s?(?:[-\u2013~]|to|至|到)\s?(?P<to>{_DIGITS}))?)"
    r"(?P<unit>\s*(?:%|per\s?cent|pct\b))?(?:\s?(?:/|out of)\s?(?P<of>[2-9]|100?)"
    r"(?![\d.,]*\d|\s?/))?",
    re.I,
)
# What says that a number is the certainty: before it, or behind it as in "95% certain".
_CERTAINTY_BEFORE = re.compile(
    r"(?:\b(?:certainty|confidence|probability|likelihood|(?:certain|sure|confident)(?=\W*[:=]))"
    r"|确定性?|確定性?|置信度|信心|把握|可信度|概率|機率)"
    r"(?:[^\w.!?]|\b(?:level|score|rating|value|percentage|is|was|of|at|in|about|around|nearly|"
    r"approximately|roughly|would|be|the|this|that|my|model['\u2019]s|answer)\b|[度约約大是为為有])*\Z",
    re.I,
)
_CERTAINTY_BEHIND = re.compile(
    r"\s{0,3}(?:的)?(?:certain|sure|confiden|chance|probab|likel|确定|確定|把握|信心|可能|概率|機率)",
    re.I,
)
_DENIED = re.compile(
    r"(?:\bnot|n['\u2019]t|\bnever|不是|并非|不敢说|没有|沒有)(?:\s+\w+){0,3}\s*\Z", re.I
)
# How far from a number the words before it are looked for, in characters.
_REACH = 80


def second_turn(person: str, question: Question, answer: str | None, text: str) -> str:
    r"""Return the prompt that asks how certain the model is of its answer.

    The question is quoted alone, without the ending that says how to answer, which would
    contradict "Answer with a percentage." The answer is quoted as the label that was read
    from it, so that "Yes", "yes." and "Yes, there is" give one prompt. One that could not
    be parsed is quoted as it is, without white space and full stops at its ends.

    >>> second_turn("first", Question("1", "x", "Is it red?\nAnswer:", asked="Is it red?"),
    ...     "Yes", "yes.")[:55]
    'You were asked: Is it red? Your answer was: Yes. How ce'
    """
    asked = question.asked or question.prompt
    quoted = text.strip().rstrip(".").strip() if answer is None else answer
    return PROMPTS[person].format(question=asked, answer=quoted)


def parse_certainty(text: str) -> float | None:
    """Return the certainty that `text` states, in [0, 1].

    A number next to a word for certainty wins ("Certainty: 70%", "95% certain"), the last of
    several; then the first with a percent sign, then the first of all. One that is denied
    ("not 100% certain") is passed over, as are numbers outside 0 to 100 and scales ("0 to 100").

    A number with no percent sign that is at most 1 is taken for a probability, so that
    "1" is certainty and "1%" is not. Of a range the first number counts; "4/5" is 80%.
    Numbers in words are not read.

    A comma is a decimal sign ("0,9", "85,5%"), but before groups of three digits one of
    thousands ("1,000"), unless the number begins with 0. A full stop is always a decimal sign.

    Returns:
        A number in [0, 1], None if there is none.

    Examples:
        >>> parse_certainty("I am 85% certain."), parse_certainty("85"), parse_certainty("0.85")
        (0.85, 0.85, 0.85)
        >>> parse_certainty("0,9"), parse_certainty("85,5%"), parse_certainty("1e-2")
        (0.9, 0.855, 0.01)
        >>> parse_certainty("There are 3 people. I am 95% certain."), parse_certainty("0.85%")
        (0.95, 0.0085)
        >>> parse_certainty("Very certain") is None
        True
    """
    text = plain(text)
    stated: list[float] = []
    with_unit: list[float] = []
    others: list[float] = []
    for found in _NUMBER.finditer(text):
        value = _value(found)
        if value is None or _DENIED.search(text[max(0, found.start() - _REACH) : found.start()]):
            continue
        has_unit = found["unit"] or found["prefix"] or found["of"] in ("10", "100")
        kind = with_unit if has_unit else others
        (stated if _is_certainty(text, found) else kind).append(value)
    return next(iter(stated[-1:] + with_unit + others), None)


def _value(found: re.Match[str]) -> float | None:
    """Return a number as a probability; None for one of thousands, out of range, or a scale."""
    if found["value"] is None:
        return None
    value = float(found["value"].replace(",", "."))
    if found["of"]:
        value *= 100 / float(found["of"])
    if not 0 <= value <= 100:
        return None
    is_percentage = value > 1 or found["unit"] or found["prefix"] or found["of"]
    return value / 100 if is_percentage else value


def _is_certainty(text: str, found: re.Match[str]) -> bool:
    """Whether a word for certainty stands right before or behind a number."""
    before = text[max(0, found.start() - _REACH) : found.start()]
    behind = _CERTAINTY_BEHIND.match(text, found.end())
    return behind is not None or _CERTAINTY_BEFORE.search(before) is not None
