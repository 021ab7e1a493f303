"""POPE (Li et al. 2023, arXiv 2305.10355): is an object in the image, yes or no?

Prompts and `upstream_score` are those of lmms-eval's `pope` task, character for
character; the tests compare them with its functions.
"""

from vlm_confidence_tasks.benchmarks.base import Benchmark, Document, DocumentError, quoted, text_of
from vlm_confidence_tasks.types import Question

LABELS = ("Yes", "No")


def question(document: Document, pre_prompt: str, post_prompt: str) -> Question:
    """Turn a POPE row into a question.

    Raises:
        DocumentError: The answer is neither "yes" nor "no", or a text is missing.
    """
    answer = str(document["answer"]).strip().capitalize()
    if answer not in LABELS:
        raise DocumentError(f"answer is {quoted(document['answer'])}, expected 'yes' or 'no'")
    asked = text_of(document, "question").strip()
    return Question(
        question_id=text_of(document, "question_id"),
        image_id=text_of(document, "image_source"),
        prompt=f"{pre_prompt}{asked}{post_prompt}",
        labels=LABELS,
        gold=answer,
        positive="Yes",
        category=text_of(document, "category"),
        asked=asked,
    )


def upstream_score(question: Question, text: str) -> float:
    """Score as upstream does: the whole text, stripped and lower-cased, is the answer.

    >>> question = Question("1", "x", "Is it?", LABELS, "Yes")
    >>> upstream_score(question, " yes "), upstream_score(question, "Yes.")
    (1.0, 0.0)
    """
    return float(text.strip().lower() == str(question.gold).lower())


POPE = Benchmark(
    name="pope",
    folder="pope",
    columns=("question_id", "question", "answer", "image_source", "category", "image"),
    image_columns=("image",),
    question=question,
    upstream_score=upstream_score,
    traits=frozenset({"answers", "yes_no", "objects"}),
)
