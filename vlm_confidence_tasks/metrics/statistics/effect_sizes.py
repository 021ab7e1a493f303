"""Differences in units of how much documents differ; the intervals are the jackknife's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.inference.jackknife import jackknife_interval
from vlm_confidence_tasks.metrics.statistics.statistic import (
    Statistic,
    Take,
    Views,
    document_sums,
    joined_sums,
)


@dataclass(frozen=True)
class EffectSize(Statistic):
    """Compares the documents' means of a number with those of its control.

    Attributes:
        measure: The effect size, of both means of each document.
        take: Gives the number.
        control: Gives the control.
    """

    measure: Callable[[Floats, Floats], float | None]
    take: Take
    control: Take

    def value(self, answers: Answers) -> float | None:
        """Return the effect size; None if it is not defined."""
        sums = document_sums(answers, self.take, self.control)
        if sums is None:
            return None
        first, second = (total / sums.count for total in sums.totals)
        # In one order, so that rounding is the same.
        order = np.lexsort((second, first))
        return self.measure(first[order], second[order])

    def _interval(self, views: Views, level: float) -> Interval | None:
        sums = joined_sums(views, self.take, self.control)
        if sums is None:
            return None
        first, second = (total / sums.count for total in sums.totals)
        return jackknife_interval(
            lambda kept: self.measure(first[kept], second[kept]),
            sums.image,
            paired=sums.second,
            level=level,
        )
