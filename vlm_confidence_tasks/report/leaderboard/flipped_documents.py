"""The documents whose answer a perturbation changed, the most confident first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from vlm_confidence_tasks.report.inputs.samples import SamplesFile
from vlm_confidence_tasks.types import Readout, Sample

MOST = 20


@dataclass(frozen=True)
class Flip:
    """One document and the answers to it before and after.

    Attributes:
        task: The task.
        question_id: The document.
        category: The benchmark's sub-category; question ids may begin anew in each.
        image_sha256: Digest of the clean image as it was shown.
        variant: What was shown, in words.
        question: The text that was put to the model.
        gold: The right answer, None where there is none.
        labels: The closed set of answers.
        clean: The clean answer: text, answer, confidence and entropy.
        perturbed: The same of the perturbed answer, with the digest of its image and the
            perturbation's parameters, from which the image can be made again.
        categories: All sub-categories in which the question flipped, sorted.
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
    categories: list[str] = field(default_factory=list)

    @property
    def rank(self) -> tuple[float, str, str, str]:
        """Sorts the most confident first, and the same everywhere."""
        return -self.perturbed["confidence"], self.task, self.question_id, self.category

    @property
    def identity(self) -> tuple[str, ...]:
        """Prompt and image, which make the same question under any id and category."""
        prompt = (self.question,) if self.question else (self.question_id, self.category)
        return *prompt, self.image_sha256


def surest_flips(task: str, file: SamplesFile, most: int = MOST) -> list[Flip]:
    """Return the questions that flipped with the highest confidence in the new answer.

    A question counts once, with its surest flip. An answer that could not be read has
    no confidence, and so is not among them.
    """
    surest = ((sample, _surest_flip(sample)) for sample in file.samples)
    return merge((_flip(task, sample, readout) for sample, readout in surest if readout), most)


def merge(flips: Iterable[Flip], most: int = MOST) -> list[Flip]:
    """Return the surest of several tasks' flips, each question once.

    POPE puts the same question about the same image in several of its categories.
    """
    groups: dict[tuple[str, ...], list[Flip]] = defaultdict(list)
    for flip in sorted(flips, key=lambda flip: flip.rank):
        groups[flip.identity].append(flip)
    return [
        replace(group[0], categories=sorted({name for flip in group for name in flip.categories}))
        for group in list(groups.values())[:most]
    ]


def _surest_flip(sample: Sample) -> Readout | None:
    flipped = [
        (readout.confidence, readout)
        for readout in sample.variants
        if sample.labels
        and readout.answer != sample.clean.answer
        and readout.confidence is not None
    ]
    return max(flipped, key=lambda pair: pair[0], default=(None, None))[1]


def _flip(task: str, sample: Sample, readout: Readout) -> Flip:
    names = ("image_sha256", "perturbation", "parameters", "seed")
    shown = {name: getattr(readout, name) for name in names}
    return Flip(
        task=task,
        question_id=sample.question_id,
        category=sample.category,
        image_sha256=sample.image_sha256,
        variant=str(readout.variant),
        question=sample.prompt,
        gold=sample.gold,
        labels=list(sample.labels),
        clean=_answer(sample.clean),
        perturbed=_answer(readout) | shown,
        categories=[sample.category],
    )


def _answer(readout: Readout) -> dict[str, Any]:
    names = ("text", "answer", "confidence", "entropy")
    return {name: getattr(readout, name) for name in names}
