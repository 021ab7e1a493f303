"""p-values of the mean change between clean and perturbed answers, by image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic, Take, document_sums


@dataclass(frozen=True)
class ChangeTest(Statistic):
    """A test in which an image is one observation.

    Attributes:
        test: From the sum of each document's changes, its image and its number of changes to p.
        take: Gives the change of each answer.
    """

    test: Callable[[Floats, Ints, Floats], float | None]
    take: Take

    def value(self, answers: Answers) -> float | None:
        """Return p; None if nothing changes."""
        sums = document_sums(answers, self.take)
        return None if sums is None else self.test(sums.totals[0], sums.image, sums.count)
