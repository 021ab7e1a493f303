"""Verbalised confidence: asking a model in words how certain it is of an answer.

The two prompts are those of "Object-Level Verbalized Confidence Calibration in VLMs via
Semantic Perturbation" (arXiv 2504.14848), after Kumar et al. 2024.
"""

import re

from vlm_confidence_tasks.types import Question

# Person of the prompt -> the prompt.
PROMPTS = {
    "third": "A Language model was asked: {question} Model's answer was: {answer}. "
    "How certain are you about model's answer? Answer with a percentage.",
    "first": "You were asked: {question} Your answer was: {answer}. "
    "How certain are you about your answer? Answer with a percentage.",
}

_NUMBER = re.compile(
    r"(?<![\w.,])(?:-?[1-9]\d{0,2}(?:,\d{3})+(?!\d)"
    r"|(?P<value>-?(?:\d+(?:\.\d+|,\d+(?![.,]?\d))?|\.\d+)))"
    r"(?P<unit>\s*(?:%|per\s?cent))?",
    re.I,
)


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
    """Return the first number of `text` that can be a percentage, in [0, 1].

    A number with no percent sign that is at most 1 is taken for a probability, so that
    "1" is certainty and "1%" is not. Numbers outside 0 to 100 are passed over. Of a range
    or a fraction the first number counts: "8/10" is 8%. Numbers in words are not read.

    A comma is a decimal sign ("0,9", "85,5%"), but before groups of three digits one of
    thousands ("1,000"), unless the number begins with 0. A full stop is always a decimal sign.

    Returns:
        A number in [0, 1], None if there is none.

    Examples:
        >>> parse_certainty("I am 85% certain."), parse_certainty("85"), parse_certainty("0.85")
        (0.85, 0.85, 0.85)
        >>> parse_certainty("0,9"), parse_certainty("85,5%")
        (0.9, 0.855)
        >>> parse_certainty("0.85%"), parse_certainty("Of 250 cases, 90 percent")
        (0.0085, 0.9)
        >>> parse_certainty("Very certain") is None
        True
    """
    for found in _NUMBER.finditer(text):
        if found["value"] is None:  # A number of thousands.
            continue
        value = float(found["value"].replace(",", "."))
        if 0 <= value <= 100:
            return value if value <= 1 and not found["unit"] else value / 100
    return None
