"""Precision, recall and F1 of yes-no answers, in which an answer may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlm_confidence_tasks.metrics.functional.checks import same_length


@dataclass(frozen=True)
class Confusion:
    """Counts of answers against gold labels.

    An answer that could not be read is neither positive nor negative: on a positive
    document it is a missed positive (`fn`, so it is in recall's denominator); on a
    negative one it is in none of the three counts.

    Attributes:
        tp: Positive documents answered positive.
        fp: Other documents answered positive.
        fn: Positive documents answered anything else, or nothing that could be read.
    """

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float | None:
        """Precision, tp / (tp + fp); None if nothing was answered positive."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Recall, tp / (tp + fn); None if no document is positive."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """2 tp / (2 tp + fp + fn); None if neither gold nor answers are ever positive.

        In this form F1 is 0, not undefined, where positives exist and none was found.
        """
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def confusion(gold: Sequence[str], answers: Sequence[str | None], positive: str) -> Confusion:
    """Count answers against gold labels.

    Args:
        gold: The right label of each instance, [N].
        answers: The label read from each answer, [N], None if none could be read.
        positive: The label that counts as positive ("Yes" for POPE, "No" for AMBER).

    Raises:
        ValueError: The columns are empty or differ in length.

    Source: Li et al. 2023 (POPE); Wang et al. 2023 (AMBER).

    >>> confusion(["Yes", "Yes", "No", "No"], ["Yes", None, "Yes", None], "Yes")
    Confusion(tp=1, fp=1, fn=1)
    """
    same_length(gold=gold, answers=answers)
    if not gold:
        raise ValueError(f"gold must not be empty, got {gold!r}")
    pairs = [
        (right == positive, answer == positive) for right, answer in zip(gold, answers, strict=True)
    ]
    return Confusion(
        tp=pairs.count((True, True)), fp=pairs.count((False, True)), fn=pairs.count((True, False))
    )
