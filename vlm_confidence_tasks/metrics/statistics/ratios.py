"""Ratios of counts (precision, recall, F1) and of sums (the drift ratio)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.inference.means import mean_interval
from vlm_confidence_tasks.metrics.inference.rates import rate_interval
from vlm_confidence_tasks.metrics.statistics.statistic import (
    Statistic,
    Take,
    Views,
    joined_sums,
)


@dataclass(frozen=True)
class CountRatio(Statistic):
    """a TP / (b TP + c FP + d FN), over the answers that have gold and claim.

    An answer that could not be read is neither positive nor negative: of positive gold it is a
    missed positive (FN), else it is in none of the counts.

    Attributes:
        gold: Whether the right answer is positive.
        claim: Whether the answer is positive; 0 where it could not be read.
        weights: a, b, c, d: (1, 1, 1, 0) is precision, (1, 1, 0, 1) recall, (2, 2, 1, 1) F1.
    """

    gold: Take
    claim: Take
    weights: tuple[int, int, int, int]

    def above(self, answers: Answers) -> Floats:
        """Return what each answer adds above the line, [N]."""
        return self.weights[0] * self.gold(answers) * self.claim(answers)

    def below(self, answers: Answers) -> Floats:
        """Return what each answer adds under the line, [N]."""
        gold, claim = self.gold(answers), self.claim(answers)
        _, tp, fp, fn = self.weights
        return tp * gold * claim + fp * (1 - gold) * claim + fn * gold * (1 - claim)

    def value(self, answers: Answers) -> float | None:
        """Return the ratio; None if it divides by 0."""
        below = np.nansum(self.below(answers))
        return float(np.nansum(self.above(answers)) / below) if below else None

    def _interval(self, views: Views, level: float) -> Interval | None:
        sums = joined_sums(views, self.above, self.below)
        if sums is None:
            return None
        above, below = sums.totals
        return rate_interval(above, below, sums.image, paired=sums.second, level=level)


@dataclass(frozen=True)
class SumRatio(Statistic):
    """The sum of one number over that of another, over the answers that have both.

    Attributes:
        above: Gives the numbers above the line.
        below: Gives those under it.
    """

    above: Take
    below: Take

    def value(self, answers: Answers) -> float | None:
        """Return the ratio; None if it divides by 0."""
        above, below = self.above(answers), self.below(answers)
        known = ~(np.isnan(above) | np.isnan(below))
        total = math.fsum(below[known])
        return math.fsum(above[known]) / total if total else None

    def _interval(self, views: Views, level: float) -> Interval | None:
        sums = joined_sums(views, self.above, self.below)
        if sums is None:
            return None
        return mean_interval(*sums.totals, sums.image, paired=sums.second, level=level)
