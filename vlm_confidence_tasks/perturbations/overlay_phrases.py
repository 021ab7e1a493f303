"""The phrase of a text overlay, and the questions for which an overlay exists."""

from collections.abc import Sequence

from vlm_confidence_tasks.perturbations.registry import needs_of
from vlm_confidence_tasks.types import Variant

MOST_OVERLAYS = 3


def overlay_labels(
    labels: Sequence[str], clean_answer: str | None, n: int = MOST_OVERLAYS
) -> tuple[str, ...]:
    """Return the labels that the overlays of a question show.

    They are the first min(n, number of labels - 1) labels that are not the model's
    own clean answer; None (the clean answer could not be parsed) excludes no label.

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

    A variant that needs the clean answer exists if its `index` is below
    min(3, number of labels - 1), one that needs an objective where there are two labels;
    every other one exists for all questions.
    """
    needs = needs_of(variant)
    if "objective" in needs and len(labels) < 2:
        return False
    return "clean_answer" not in needs or _index(variant) < _count(labels, MOST_OVERLAYS)


def phrase(variant: Variant, labels: Sequence[str], clean_answer: str | None) -> str:
    """Return the phrase of an overlay: "Answer is {label}".

    The label is number `index` of `overlay_labels`. The controls get the same phrase,
    since they cover the box that it would need. The phrase is both identity and value of
    the need `clean_answer`.

    >>> overlay = Variant("text_overlay", (("content", "empty"), ("index", 0)))
    >>> phrase(overlay, ("Yes", "No"), clean_answer="Yes")
    'Answer is No'

    Raises:
        ValueError: The variant is no overlay or does not exist for this question, the
            clean answer is not one of the labels, or the perturbation is unknown.
    """
    if "clean_answer" not in needs_of(variant):
        raise ValueError(f"{variant} shows no phrase")
    return f"Answer is {_label(variant, labels, clean_answer)}"


def named_label(variant: Variant, labels: Sequence[str], clean_answer: str | None) -> str | None:
    """Return the label that the image names: None for controls and for no overlay.

    >>> overlay = Variant("text_overlay", (("content", "semantic"), ("index", 0)))
    >>> named_label(overlay, ("Yes", "No"), clean_answer="Yes")
    'No'
    """
    if variant.control or "clean_answer" not in needs_of(variant):
        return None
    return _label(variant, labels, clean_answer)


def _label(variant: Variant, labels: Sequence[str], clean_answer: str | None) -> str:
    if not applies(variant, labels):
        raise ValueError(f"{variant} does not exist for a question with labels {tuple(labels)}")
    return overlay_labels(labels, clean_answer)[_index(variant)]


def _index(variant: Variant) -> int:
    return int(dict(variant.parameters).get("index", 0))


def _count(labels: Sequence[str], n: int) -> int:
    return max(0, min(n, len(labels) - 1))
