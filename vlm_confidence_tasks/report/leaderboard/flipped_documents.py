"""The documents whose answer a perturbation changed, the most confident first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vlm_confidence_tasks.report.inputs.rows import Answer, Row, Rows

MOST = 20


@dataclass(frozen=True)
class Flip:
    """One document and the answers to it before and after.

    Attributes:
        task: The task that asked.
        question_id: The document.
        category: The benchmark's sub-category; question ids may begin anew in each.
        image_sha256: Digest of the clean image as it was shown.
        variant: What was shown, in words.
        question: The text that was put to the model.
        gold: The right answer, None where there is none.
        labels: The closed set of answers.
        clean: The clean answer: text, answer, confidence and entropy.
        perturbed: The perturbed one's, likewise, with the digest of its image and the
            perturbation's parameters, from which the image can be made again.
    """

    task: str
    question_id: str
    category: str
    image_sha256: str
    variant: str
    question: str
    gold: str | None
    labels: list[str]
    clean: dict[str, Any]
    perturbed: dict[str, Any]

    @property
    def rank(self) -> tuple[float, str, str, str]:
        """Sorts the most confident first, and the same everywhere."""
        return -self.perturbed["confidence"], self.task, self.question_id, self.category


def surest_flips(task: str, rows: Rows, most: int = MOST) -> list[Flip]:
    """Return the documents that flipped with the highest confidence in the new answer.

    A document counts once, with its surest flip. An answer that could not be read has
    no confidence, and so is not among them.
    """
    found = []
    for row in rows.rows:
        flipped = [
            answer
            for answer in row.readouts[1:]
            if row.labels and answer.answer != row.clean.answer and answer.confidence is not None
        ]
        if flipped:
            found.append((row, max(flipped, key=_confidence)))
    found.sort(key=lambda pair: (-_confidence(pair[1]), pair[0].question_id, pair[0].category))
    return [_flip(task, row, answer) for row, answer in found[:most]]


def _confidence(answer: Answer) -> float:
    return -1.0 if answer.confidence is None else answer.confidence


def _flip(task: str, row: Row, answer: Answer) -> Flip:
    shown = {
        "image_sha256": answer.image_sha256,
        "perturbation": answer.variant,
        "parameters": answer.parameters,
        "seed": answer.seed,
    }
    return Flip(
        task=task,
        question_id=row.question_id,
        category=row.category,
        image_sha256=row.image_sha256,
        variant=str(answer.as_variant()),
        question=row.input if isinstance(row.input, str) else "",
        gold=row.gold,
        labels=row.labels,
        clean=_said(row.clean),
        perturbed=_said(answer) | shown,
    )


def _said(answer: Answer) -> dict[str, Any]:
    return {
        "text": answer.text,
        "answer": answer.answer,
        "confidence": answer.confidence,
        "entropy": answer.entropy,
    }


def merge(flips: Iterable[Flip], most: int = MOST) -> list[Flip]:
    """Keep the surest of several tasks' flips, each question and image once.

    POPE counts its questions anew in each category, about the same images.
    """
    kept: dict[tuple[str, str, str], Flip] = {}
    for flip in sorted(flips, key=lambda flip: flip.rank):
        kept.setdefault((flip.question_id, flip.category, flip.image_sha256), flip)
    return list(kept.values())[:most]
