"""Answers that change when the image is perturbed.

An answer is a label, or None where none could be read; None is an answer of its own,
so that a model which stops answering has flipped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics._checks import flags, same_length

Answer = str | None


def _flips(clean: Sequence[Answer], variants: Sequence[Sequence[Answer]]) -> list[list[bool]]:
    same_length(clean=clean, variants=variants)
    return [
        [answer != base for answer in row] for base, row in zip(clean, variants, strict=True) if row
    ]


def instance_flip_rate(
    clean: Sequence[Answer], variants: Sequence[Sequence[Answer]]
) -> float | None:
    """Share of (document, variant) instances whose answer is not the clean one, IFR.

    Args:
        clean: The answer to each clean image, [D].
        variants: The answers to its variants, [D] of any number each.

    Returns:
        A rate in [0, 1] pooled over instances; None if there are none.

    Raises:
        ValueError: `clean` and `variants` differ in length.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652), IFR.

    >>> instance_flip_rate(["Yes", "No"], [["Yes", "No"], ["No", None]])
    0.5
    """
    flips = [flip for row in _flips(clean, variants) for flip in row]
    return sum(flips) / len(flips) if flips else None


def document_flip_rate(
    clean: Sequence[Answer], variants: Sequence[Sequence[Answer]]
) -> float | None:
    """Share of documents any of whose variants changed the answer, IV.

    Arguments and errors are those of `instance_flip_rate`; documents without variants
    are left out.

    Returns:
        A rate in [0, 1]; None if no document has a variant.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652), IV.

    >>> document_flip_rate(["Yes", "No"], [["Yes", "No"], ["No", "No"]])
    0.5
    """
    flips = [any(row) for row in _flips(clean, variants)]
    return sum(flips) / len(flips) if flips else None


def visual_entropy(answers: Sequence[Answer]) -> float:
    """Entropy of the answers that one document got, in nats.

    -sum over distinct answers a of n_a/n ln(n_a/n): 0 if all agree.

    Args:
        answers: The answers to the clean image and to its variants, [1 + V].

    Raises:
        ValueError: There are no answers.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652).

    >>> round(visual_entropy(["Yes", "Yes", "No", None]), 4)
    1.0397
    """
    if not answers:
        raise ValueError(f"answers must not be empty, got {answers!r}")
    counts = sorted(Counter(answers).values())
    # The form ln n - sum(n_a ln n_a)/n would leave rounding noise where all agree.
    return math.fsum(n / len(answers) * math.log(len(answers) / n) for n in counts)


def right_to_wrong(clean_correct: ArrayLike, correct: ArrayLike) -> float | None:
    """Share of instances, right on the clean image, that the perturbation made wrong.

    R->W / (R->W + R->R).

    Args:
        clean_correct: Whether the clean answer is right, [N], repeated for each variant.
        correct: Whether the variant's answer is right, [N].

    Returns:
        A rate in [0, 1]; None if no clean answer is right.

    Raises:
        ValueError: Empty or unequal columns, or values other than 0 and 1.

    >>> right_to_wrong([1, 1, 0], [0, 1, 1])
    0.5
    """
    before, after = flags("clean_correct", clean_correct), flags("correct", correct)
    same_length(clean_correct=before, correct=after)
    return float(np.mean(~after[before])) if before.any() else None


def wrong_to_right(clean_correct: ArrayLike, correct: ArrayLike) -> float | None:
    """Share of instances, wrong on the clean image, that the perturbation made right.

    W->R / (W->R + W->W). Arguments and errors are those of `right_to_wrong`.

    Returns:
        A rate in [0, 1]; None if no clean answer is wrong.

    >>> wrong_to_right([1, 1, 0], [0, 1, 1])
    1.0
    """
    before, after = flags("clean_correct", clean_correct), flags("correct", correct)
    same_length(clean_correct=before, correct=after)
    return float(np.mean(after[~before])) if not before.all() else None


def _corrected(
    gold: Sequence[str], clean: Sequence[Answer], answers: Sequence[Answer], wanted: str, wrong: str
) -> float | None:
    same_length(gold=gold, clean=clean, answers=answers)
    corrected = [
        answer == wanted
        for right, base, answer in zip(gold, clean, answers, strict=True)
        if right == wanted and base == wrong
    ]
    return sum(corrected) / len(corrected) if corrected else None


def fp_correction(
    gold: Sequence[str], clean: Sequence[Answer], answers: Sequence[Answer]
) -> float | None:
    """Share of perturbed instances of clean false positives that become "No".

    A clean false positive has gold "No" and was answered "Yes" on the clean image. An
    unparsed answer is no correction.

    Args:
        gold: "Yes" or "No", [N], repeated for each variant of a document.
        clean: The answer to the clean image, [N], repeated likewise.
        answers: The answer to the variant, [N].

    Returns:
        A rate in [0, 1]; None if there are no clean false positives.

    Raises:
        ValueError: The columns differ in length.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652), on POPE.

    >>> fp_correction(["No", "No", "Yes"], ["Yes", "Yes", "Yes"], ["No", "Yes", "No"])
    0.5
    """
    return _corrected(gold, clean, answers, wanted="No", wrong="Yes")


def fn_correction(
    gold: Sequence[str], clean: Sequence[Answer], answers: Sequence[Answer]
) -> float | None:
    """Share of perturbed instances of clean false negatives that become "Yes".

    A clean false negative has gold "Yes" and was answered "No" on the clean image; one
    that could not be read is not among them. Arguments and errors are those of
    `fp_correction`.

    Returns:
        A rate in [0, 1]; None if there are no clean false negatives.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652), on POPE.

    >>> fn_correction(["Yes", "Yes"], ["No", None], ["Yes", "Yes"])
    1.0
    """
    return _corrected(gold, clean, answers, wanted="Yes", wrong="No")
