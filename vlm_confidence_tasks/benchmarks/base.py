"""The record of a benchmark: how its documents become questions."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from vlm_confidence_tasks.types import Question

Document = Mapping[str, Any]

# The variable that names a folder of local data, which all tasks then read.
LOCAL_DATA = "VLM_CONFIDENCE_DATA"

# Half a character, which no tokenizer and no file takes; escapes in MMMU's options can make it.
_SURROGATE = re.compile(r"[\ud800-\udfff]")

# What suffixes of tasks may need of a benchmark's questions, as words after "questions that".
TRAITS = {
    "answers": "have right answers",
    "yes_no": "ask for yes or no",
    "objects": "name things in the image",
}


class DocumentError(ValueError):
    """A document does not look as the benchmark's data set promises."""


def quoted(value: object) -> str:
    """Return a value as error messages show it, cut off after 80 characters."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def as_text(value: object, name: str) -> str:
    """Return a text or number of a document as text.

    What is missing is no text: it would be asked as "None" or "nan", or be the right answer.

    >>> as_text("dog", "option A"), as_text(7, "id")
    ('dog', '7')

    Raises:
        DocumentError: It is null, blank, not finite, no Unicode, or of another kind.
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole or isinstance(value, float) and math.isfinite(value):
        return str(value)
    if not isinstance(value, str) or _SURROGATE.search(value):
        raise DocumentError(f"{name} is {quoted(value)}, expected a text")
    if not value.strip():
        raise DocumentError(f"{name} is empty")
    return value


def text_of(document: Document, column: str) -> str:
    """Return a column `as_text`."""
    return as_text(document[column], column)


def every_row(columns: Mapping[str, Sequence[Any]]) -> list[int]:
    """Select all rows, whatever the columns hold."""
    return list(range(len(next(iter(columns.values())))))


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode as upstream's `doc_to_visual` functions do."""
    return image.convert("RGB")


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: how its rows become questions. It holds no documents and no pixels.

    Attributes:
        name: The benchmark's key in a task's YAML.
        folder: Folder under `VLM_CONFIDENCE_DATA` that holds its parquet files.
        columns: Columns that a data set must have (images included).
        image_columns: Those of them that hold an image or a list of images.
        question: (document without images, text before, text after) -> Question.
        upstream_score: Upstream's own score of an answer text, 0 or 1, or its expected value
            where upstream guesses; None where upstream has no such task.
        correct: Whether the answer to an open question, one without labels, is right;
            None where all questions have labels or no right answer.
        select: Columns without images -> indices of the rows to evaluate.
        convert: How a decoded image becomes RGB.
        traits: Which of `TRAITS` the questions have.
    """

    name: str
    folder: str
    columns: tuple[str, ...]
    image_columns: tuple[str, ...]
    question: Callable[[Document, str, str], Question]
    upstream_score: Callable[[Question, str], float] | None = None
    correct: Callable[[Question, str], bool] | None = None
    select: Callable[[Mapping[str, Sequence[Any]]], list[int]] = every_row
    convert: Callable[[Image.Image], Image.Image] = to_rgb
    traits: frozenset[str] = frozenset({"answers"})

    def is_right(self, question: Question, answer: str | None, text: str) -> bool | None:
        """Say whether an answer is the right one; None where there is no right answer.

        It is decided by the label read from the answer, on open questions by its text.

        Raises:
            ValueError: The benchmark has open questions but no `correct`.
        """
        if question.gold is None:
            return None
        if question.labels:
            return answer == question.gold
        if self.correct is None:
            raise ValueError(f"benchmark {self.name} asks open questions but has no `correct`")
        return self.correct(question, text)
