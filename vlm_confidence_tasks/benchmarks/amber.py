"""AMBER (Wang et al. 2023, arXiv 2311.07397), discriminative part: yes or no?

lmms-eval has only the generative part, so that there is no upstream score: the prompt is
the query with the ending that the task's YAML gives, which is POPE's. "No" is the
positive class of AMBER's metrics: a hallucination is to be found, not an object.

The data set names no images. The questions leave `image_id` empty, and the harness fills
in the digest of the stored image, which all questions about it share.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vlm_confidence_tasks.benchmarks.base import (
    Benchmark,
    Document,
    DocumentError,
    every_row,
    quoted,
    text_of,
)
from vlm_confidence_tasks.types import Question

LABELS = ("Yes", "No")

# Relation questions have one type where the truth is "yes" and another where it is "no".
CATEGORIES = {
    "discriminative-hallucination": "existence",
    "discriminative-attribute-state": "state",
    "discriminative-attribute-number": "number",
    "discriminative-attribute-action": "action",
    "discriminative-relation": "relation",
    "relation": "relation",
}


def question(document: Document, pre_prompt: str, post_prompt: str) -> Question:
    """Turn an AMBER row into a question.

    Raises:
        DocumentError: The truth is neither "yes" nor "no", the type is unknown, or a text is
            missing.
    """
    truth = str(document["truth"]).strip().capitalize()
    if truth not in LABELS:
        raise DocumentError(f"truth is {quoted(document['truth'])}, expected 'yes' or 'no'")
    asked = text_of(document, "query").strip()
    return Question(
        question_id=text_of(document, "id"),
        image_id="",
        prompt=f"{pre_prompt}{asked}{post_prompt}",
        labels=LABELS,
        gold=truth,
        positive="No",
        category=_category(document["type"]),
        asked=asked,
    )


def _category(kind: object, where: str = "") -> str:
    for known, category in CATEGORIES.items():
        if kind == known:
            return category
    raise DocumentError(f"{where}type is {quoted(kind)}, expected one of {', '.join(CATEGORIES)}")


def rows_of(*categories: str) -> Callable[[Mapping[str, Sequence[Any]]], list[int]]:
    """Return a selection of the rows of some categories.

    >>> hallucination = "discriminative-hallucination"
    >>> rows_of("relation")({"type": ["relation", hallucination, "discriminative-relation"]})
    [0, 2]

    The selection raises DocumentError where a type is unknown, rather than to leave its row out.
    """

    def select(columns: Mapping[str, Sequence[Any]]) -> list[int]:
        found = [_category(kind, f"row {row}: ") for row, kind in enumerate(columns["type"])]
        return [row for row, category in enumerate(found) if category in categories]

    return select


def _benchmark(
    name: str, select: Callable[[Mapping[str, Sequence[Any]]], list[int]], *traits: str
) -> Benchmark:
    return Benchmark(
        name=name,
        folder="amber",
        columns=("id", "query", "type", "truth", "image"),
        image_columns=("image",),
        question=question,
        select=select,
        traits=frozenset({"answers", "yes_no", *traits}),
    )


AMBER = (
    _benchmark("amber", every_row, "objects"),
    # Names only what is not in the image.
    _benchmark("amber_existence", rows_of("existence")),
    _benchmark("amber_attribute", rows_of("state", "number", "action"), "objects"),
    _benchmark("amber_relation", rows_of("relation"), "objects"),
)
