"""How well a number puts right answers above wrong ones, and rank correlations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.functional.correlation import spearman
from vlm_confidence_tasks.metrics.functional.ranking import auroc, auroc_of_ranks
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.inference.jackknife import jackknife_interval, ranking_interval
from vlm_confidence_tasks.metrics.inference.ties import auroc_interval
from vlm_confidence_tasks.metrics.statistics.calibration_errors import Calibration
from vlm_confidence_tasks.metrics.statistics.statistic import OfRows, Rows, Take


@dataclass(frozen=True)
class Ranking(Calibration, OfRows):
    """A measure of how confidence ranks right and wrong answers, by the jackknife.

    Attributes:
        measure: The measure, of confidences and correctness.
        of_ranks: The measure, of ranks, which deleting images does not change.
    """

    measure: Callable[[Floats, Floats], float | None]
    of_ranks: Callable[[Ints, Bools], float | None]

    def _value(self, rows: Rows) -> float | None:
        return self.measure(*rows.columns)

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        columns = (*rows.columns, rows.image)
        return ranking_interval(self.of_ranks, *columns, paired=rows.second, level=level)


@dataclass(frozen=True)
class Auroc(Ranking):
    """AUROC of confidence; its interval holds where most confidences are equal."""

    measure: Callable[[Floats, Floats], float | None] = auroc
    of_ranks: Callable[[Ints, Bools], float | None] = auroc_of_ranks

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        sure, right = rows.columns
        return auroc_interval(sure, right, rows.image, paired=rows.second, level=level)


@dataclass(frozen=True)
class Correlation(OfRows):
    """Spearman's rank correlation of two numbers, by the jackknife.

    Attributes:
        first: Gives one number.
        second: Gives the other.
    """

    first: Take
    second: Take

    @property
    def _takes(self) -> tuple[Take, ...]:
        return (self.first, self.second)

    def _value(self, rows: Rows) -> float | None:
        return spearman(*rows.columns)

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        first, second = rows.columns
        return jackknife_interval(
            lambda kept: spearman(first[kept], second[kept]),
            rows.image,
            paired=rows.second,
            scale="fisher",
            level=level,
        )
