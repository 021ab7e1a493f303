"""How well a number puts right answers above wrong ones, and rank correlations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.functional.correlation import spearman
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.inference.jackknife import jackknife_interval, ranking_interval
from vlm_confidence_tasks.metrics.statistics.calibration_errors import confidence, correct
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic, Take, Views, joined


@dataclass(frozen=True)
class Ranking(Statistic):
    """A measure of how scores rank two classes; the interval is the jackknife's.

    Attributes:
        measure: The measure, of scores and whether each is of the first class.
        of_ranks: The same of ranks, which deleting images does not change.
        score: Gives the scores.
        event: Gives whether each is of the first class, 1 or 0.
    """

    measure: Callable[[Floats, Floats], float | None]
    of_ranks: Callable[[Ints, Bools], float | None]
    score: Take = confidence
    event: Take = correct

    def value(self, answers: Answers) -> float | None:
        """Return the measure; None if it is not defined."""
        rows = joined((answers,), self.score, self.event)
        if rows is None:
            return None
        score, event = rows.columns
        # In one order, so that rounding is the same.
        order = np.lexsort((event, score))
        return self.measure(score[order], event[order])

    def _interval(self, views: Views, level: float) -> Interval | None:
        rows = joined(views, self.score, self.event)
        if rows is None:
            return None
        return ranking_interval(
            self.of_ranks, *rows.columns, rows.image, paired=rows.second, level=level
        )


@dataclass(frozen=True)
class Correlation(Statistic):
    """Spearman's rank correlation of two numbers; the interval is the jackknife's.

    Attributes:
        first: Gives one number.
        second: Gives the other.
    """

    first: Take
    second: Take

    def value(self, answers: Answers) -> float | None:
        """Return the correlation; None if a number is constant."""
        rows = joined((answers,), self.first, self.second)
        if rows is None:
            return None
        first, second = rows.columns
        order = np.lexsort((second, first))
        return spearman(first[order], second[order])

    def _interval(self, views: Views, level: float) -> Interval | None:
        rows = joined(views, self.first, self.second)
        if rows is None:
            return None
        first, second = rows.columns
        return jackknife_interval(
            lambda kept: spearman(first[kept], second[kept]),
            rows.image,
            paired=rows.second,
            scale="fisher",
            level=level,
        )
