"""SEED-Bench (Li et al. 2023, arXiv 2307.16125), the questions about images.

Prompts and `upstream_score` are those of lmms-eval's `seedbench` task, character for
character; the tests compare them with its functions. Upstream also asks about the frames of
videos, and reports images alone as `seed_image`: that is the number to compare with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from vlm_confidence_tasks.benchmarks.base import Benchmark, Document, DocumentError, quoted, text_of
from vlm_confidence_tasks.benchmarks.choices import ASK_FOR_LETTER, lettered
from vlm_confidence_tasks.types import Question

LABELS = ("A", "B", "C", "D")


def question(document: Document, pre_prompt: str, post_prompt: str) -> Question:
    """Turn a SEED-Bench row into a question.

    Raises:
        DocumentError: The answer is not one of the letters, or a text is missing.
    """
    kind, answer = "question_type_id", str(document["answer"]).strip().upper()
    if answer not in LABELS:
        raise DocumentError(f"answer is {quoted(document['answer'])}, expected one of A, B, C, D")
    options = tuple(text_of(document, f"choice_{label.lower()}") for label in LABELS)
    asked = f"{text_of(document, 'question')}\n{lettered(options)}\n{ASK_FOR_LETTER}"
    return Question(
        question_id=text_of(document, "question_id"),
        # Optional columns of the hub's data set: without the image's name, the task uses
        # the image's digest.
        image_id=text_of(document, "data_id") if "data_id" in document else "",
        category=text_of(document, kind) if kind in document else "",
        prompt=f"{pre_prompt}{asked}{post_prompt}",
        labels=LABELS,
        gold=answer,
        options=options,
    )


def upstream_score(question: Question, text: str) -> float:
    """Score as upstream does: the first character of the text is the answer.

    >>> question = Question("1", "x", "Which?", LABELS, "A")
    >>> upstream_score(question, " a) red"), upstream_score(question, "(A)")
    (1.0, 0.0)
    """
    return float(text.strip()[:1].lower() == str(question.gold).lower())


def images_only(columns: Mapping[str, Sequence[Any]]) -> list[int]:
    """Select the rows about images, and leave out those about videos.

    >>> images_only({"data_type": ["image", "video", "image"]})
    [0, 2]

    Raises:
        DocumentError: A row is about something else.
    """
    for row, kind in enumerate(columns["data_type"]):
        if kind not in ("image", "video"):
            raise DocumentError(f"row {row}: data_type is {quoted(kind)}, expected image or video")
    return [row for row, kind in enumerate(columns["data_type"]) if kind == "image"]


SEED = Benchmark(
    name="seed",
    folder="seed",
    columns=(
        "question_id",
        "question",
        *(f"choice_{label.lower()}" for label in LABELS),
        "answer",
        "data_type",
        "image",
    ),
    image_columns=("image",),
    question=question,
    upstream_score=upstream_score,
    select=images_only,
)
