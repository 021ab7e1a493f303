"""Captions of POPE's distinct images: the Confidence Trap paper's own setting.

There is no right answer: only the entropy of the generated words is measured.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vlm_confidence_tasks.benchmarks.base import Benchmark, Document, text_of
from vlm_confidence_tasks.types import Question

PROMPT = "Describe this image in detail."


def question(document: Document, pre_prompt: str, post_prompt: str) -> Question:
    """Turn a POPE row into a question that asks for a description of its image.

    Raises:
        DocumentError: The image has no name.
    """
    name = text_of(document, "image_source")
    return Question(question_id=name, image_id=name, prompt=f"{pre_prompt}{PROMPT}{post_prompt}")


def first_of_each_image(columns: Mapping[str, Sequence[Any]]) -> list[int]:
    """Select the first row of each image.

    >>> first_of_each_image({"image_source": ["a", "a", "b", "a"]})
    [0, 2]
    """
    first: dict[Any, int] = {}
    for row, name in enumerate(columns["image_source"]):
        first.setdefault(name, row)
    return list(first.values())


CAPTION = Benchmark(
    name="caption",
    folder="pope",
    columns=("image_source", "image"),
    image_columns=("image",),
    question=question,
    select=first_of_each_image,
    traits=frozenset(),
)
