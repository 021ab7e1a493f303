"""Ratios of counts (precision, recall, F1) and of sums (the drift ratio)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, Interval
from vlm_confidence_tasks.metrics.inference.means import mean_interval
from vlm_confidence_tasks.metrics.inference.rates import rate_interval
from vlm_confidence_tasks.metrics.statistics.statistic import OfRows, Rows, Take


def ratio_interval(
    above: Floats, below: Floats, image: Ints, second: Bools | None = None, level: float = LEVEL
) -> Interval | None:
    """Return the interval of sum(above) / sum(below), or of its difference in two views.

    None if all of `below` is 0. A document of which it is, such as an entropy, still counts with
    its numerator.
    """
    if not below.any():
        return None
    counts = np.maximum(below, np.finfo(np.float64).tiny)
    return mean_interval(above, counts, image, paired=second, level=level)


@dataclass(frozen=True)
class SumRatio(OfRows):
    """The sum of one number over that of another, over the answers that have both.

    Attributes:
        first: Gives the numerator.
        second: Gives the denominator.
    """

    first: Take
    second: Take

    @property
    def _takes(self) -> tuple[Take, ...]:
        return (self.first, self.second)

    def _value(self, rows: Rows) -> float | None:
        total = math.fsum(rows.columns[1])
        return math.fsum(rows.columns[0]) / total if total else None

    def _ratio(self, rows: Rows) -> tuple[Floats, Floats]:
        return rows.columns[0], rows.columns[1]

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        sums = rows.sums()
        above, below = sums.totals
        return ratio_interval(above, below, sums.image, sums.second, level)


@dataclass(frozen=True)
class CountRatio(SumRatio):
    """a TP / (b TP + c FP + d FN), over the answers that have gold and claim.

    `first` gives whether the right answer is positive, `second` whether the answer is. An answer
    that could not be read is neither positive nor negative: of positive gold it is a missed
    positive (FN), else it is in none of the counts.

    Attributes:
        weights: a, b, c, d: (1, 1, 1, 0) is precision, (1, 1, 0, 1) recall, (2, 2, 1, 1) F1.
    """

    weights: tuple[int, int, int, int]

    def _counted(self, rows: Rows) -> tuple[Floats, Floats]:
        (gold, claim), (above, tp, fp, fn) = rows.columns, self.weights
        hit = gold * claim
        return above * hit, tp * hit + fp * (claim - hit) + fn * (gold - hit)

    def _value(self, rows: Rows) -> float | None:
        above, below = (float(column.sum()) for column in self._counted(rows))
        return above / below if below else None

    def _ratio(self, rows: Rows) -> tuple[Floats, Floats]:
        return self._counted(rows)

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        sums = replace(rows, columns=self._counted(rows)).sums()
        above, below = sums.totals
        return rate_interval(above, below, sums.image, paired=sums.second, level=level)
