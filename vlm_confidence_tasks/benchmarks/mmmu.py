"""MMMU (Yue et al. 2023, arXiv 2311.16502): exam questions over one to seven images.

Prompts and `upstream_score` are those of lmms-eval's `mmmu_val` task, character for
character, with its images between the words where a model takes chat messages; the tests
compare them with its functions.
"""

import ast
import re
from typing import Any

from vlm_confidence_tasks.benchmarks.base import (
    Benchmark,
    Document,
    DocumentError,
    as_text,
    quoted,
    text_of,
)
from vlm_confidence_tasks.benchmarks.choices import ASK_FOR_LETTER, IMAGE_MARKER, lettered, letters
from vlm_confidence_tasks.benchmarks.mmmu_rules import named_letter, says
from vlm_confidence_tasks.types import Question

ASK_FOR_WORD = "Answer the question using a single word or phrase."
MOST_IMAGES = 7
IMAGES = tuple(f"image_{number}" for number in range(1, MOST_IMAGES + 1))
_NUMBERED = re.compile(r"<image (\d+)>")
_SUBJECT = re.compile(r"[^_]+_(.+)_\d+")


def question(document: Document, pre_prompt: str, post_prompt: str) -> Question:
    """Turn an MMMU row into a question, with options or open.

    Raises:
        DocumentError: A field does not look as MMMU promises.
    """
    name, options, gold = text_of(document, "id"), _options(document), text_of(document, "answer")
    labels = letters(options)
    if labels and gold not in labels:
        raise DocumentError(f"answer is {quoted(gold)}, expected one of {', '.join(labels)}")
    if not all(answer.strip() for answer in _right_answers(gold)):
        raise DocumentError(f"answer is {quoted(gold)}, of which one text is empty")
    listed = f"\n{lettered(options)}\n\n{ASK_FOR_LETTER}" if labels else f"\n\n{ASK_FOR_WORD}"
    prompt = f"{pre_prompt}{text_of(document, 'question')}{listed}{post_prompt}"
    return Question(
        question_id=name,
        image_id=name,
        prompt=prompt,
        labels=labels,
        gold=gold,
        category=_subject(name),
        options=options,
        content=interleaved(prompt),
    )


def _options(document: Document) -> tuple[str, ...]:
    """Read the options, which the data set holds as the text of a Python list."""
    kind, stored = document["question_type"], document["options"]
    if kind == "open":
        return ()
    if kind != "multiple-choice":
        known = "'multiple-choice' or 'open'"
        raise DocumentError(f"question_type is {quoted(kind)}, expected {known}")
    options = _literal(stored)
    if not isinstance(options, list) or not 2 <= len(options) <= 26:
        expected = "the text of a list of 2 to 26 texts"
        raise DocumentError(f"options is {quoted(stored)}, expected {expected}")
    pairs = zip(letters(options), options, strict=True)
    return tuple(as_text(option, f"option {letter}") for letter, option in pairs)


def _literal(stored: Any) -> Any:
    """Return what the text of a Python literal means, None if it is none."""
    try:
        return ast.literal_eval(stored)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        # An unhashable key is a TypeError; nesting that is too deep one of the last two.
        return None


def _subject(name: str) -> str:
    found = _SUBJECT.fullmatch(name)
    if found is None:
        raise DocumentError(f"id is {quoted(name)}, expected <split>_<subject>_<number>")
    return found[1]


def interleaved(prompt: str) -> tuple[str | int, ...]:
    """Put images between the words, as upstream's chat messages do.

    The images that the prompt names stand in the order of their numbers where it has its
    first, second, ... marker. Upstream loses the words between further markers, which
    there are if one image is named twice, and so does this.

    Returns:
        Texts and positions of images; empty if the prompt names no image.

    Examples:
        >>> interleaved("See <image 1> and <image 2>. Which?")
        ('See', 0, 'and', 1, '. Which?')

    Raises:
        DocumentError: A marker's number is not one of an image.
    """
    numbers = sorted({int(number) for number in _NUMBERED.findall(prompt)})
    for number in numbers:
        if not 1 <= number <= MOST_IMAGES:
            raise DocumentError(f"<image {number}> in the text, expected 1 to {MOST_IMAGES}")
    if not numbers:
        return ()
    *before, last = (words.strip() for words in IMAGE_MARKER.split(prompt))
    content: list[str | int] = []
    for number, words in zip(numbers, before, strict=False):
        content += [words, number - 1] if words else [number - 1]
    return (*content, last)


def correct(question: Question, text: str) -> bool:
    """Say whether the answer to an open question is right, by upstream's rule.

    An answer that the data set writes as a list of texts names several right ones, of
    which any is right; upstream takes such a list for a single text.

    >>> question = Question("1", "x", "How far?", gold="['2.5', 'five halves']")
    >>> correct(question, "The answer is 2.50"), correct(question, "Five halves.")
    (True, True)
    """
    return says(text, _right_answers(str(question.gold)))


def _right_answers(gold: str) -> list[str]:
    several = _literal(gold)
    is_list = isinstance(several, list) and all(isinstance(one, str) for one in several)
    return several if is_list and several else [gold]


def upstream_score(question: Question, text: str) -> float:
    """Score as upstream does, by looser rules than `parse_answer`'s.

    Where upstream finds no letter, it guesses one at random. This gives the expected
    score of the guess.

    >>> question = Question("1", "x", "Which?", ("A", "B"), "B", options=("red", "blue"))
    >>> upstream_score(question, "(B) blue"), upstream_score(question, "None")
    (1.0, 0.5)
    """
    text = text.strip()
    if not question.labels:
        return float(says(text, [str(question.gold)]))
    named = named_letter(text, question.labels, question.options)
    return 1 / len(question.labels) if named is None else float(named == question.gold)


MMMU = Benchmark(
    name="mmmu",
    folder="mmmu",
    columns=("id", "question", "options", "answer", "question_type", *IMAGES),
    image_columns=IMAGES,
    question=question,
    upstream_score=upstream_score,
    correct=correct,
)
