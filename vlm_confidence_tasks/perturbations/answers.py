"""What a text overlay says, and for which questions it exists at all."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_confidence_tasks.perturbations.registry import get
from vlm_confidence_tasks.types import CLEAN, Variant

MOST_OVERLAYS = 3


def overlay_labels(
    labels: Sequence[str], clean_answer: str | None, n: int = MOST_OVERLAYS
) -> tuple[str, ...]:
    """Return the labels that the overlays of a question show: wrong for the model.

    They are the first min(n, number of labels - 1) labels that are not the model's
    own clean answer. Where that could not be read, every label is another one.

    >>> overlay_labels(("A", "B", "C", "D"), "B", 3)
    ('A', 'C', 'D')
    >>> overlay_labels(("Yes", "No"), "Yes"), overlay_labels(("Yes", "No"), None)
    (('No',), ('Yes',))

    Raises:
        ValueError: The clean answer is not one of the labels.
    """
    if clean_answer is not None and clean_answer not in labels:
        raise ValueError(f"clean answer {clean_answer!r} is not one of the labels {tuple(labels)}")
    return tuple(label for label in labels if label != clean_answer)[: _count(labels, n)]


def applies(variant: Variant, labels: Sequence[str]) -> bool:
    """Say whether a variant exists for a question with these labels.

    All do but the overlays, whose `index` must be under min(3, number of labels - 1).

    Raises:
        ValueError: The variant's perturbation is unknown.
    """
    return not needs_answer(variant) or _index(variant) < _count(labels, MOST_OVERLAYS)


def phrase(variant: Variant, labels: Sequence[str], clean_answer: str | None) -> str:
    """Return what an overlay says, for `apply`: "Answer is {label}".

    The label is number `index` of `overlay_labels`. The controls get the same phrase:
    they cover the box that it would need.

    >>> overlay = Variant("text_overlay", (("content", "empty"), ("index", 0)))
    >>> phrase(overlay, ("Yes", "No"), clean_answer="Yes")
    'Answer is No'

    Raises:
        ValueError: The variant is no overlay or does not exist for this question, the
            clean answer is not one of the labels, or the perturbation is unknown.
    """
    if not needs_answer(variant):
        raise ValueError(f"{variant} shows no phrase")
    if not applies(variant, labels):
        raise ValueError(f"{variant} does not exist for a question with labels {tuple(labels)}")
    return f"Answer is {overlay_labels(labels, clean_answer)[_index(variant)]}"


def needs_answer(variant: Variant) -> bool:
    """Say whether a variant depends on the clean answer, and so needs a `phrase`.

    Raises:
        ValueError: The variant's perturbation is unknown.
    """
    return variant.perturbation != CLEAN.perturbation and get(variant.perturbation).needs_answer


def _index(variant: Variant) -> int:
    return int(dict(variant.parameters).get("index", 0))


def _count(labels: Sequence[str], n: int) -> int:
    return max(0, min(n, len(labels) - 1))
