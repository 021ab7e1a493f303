"""Differences in units of how much documents differ, and tests of them, by image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.inference.jackknife import jackknife_interval
from vlm_confidence_tasks.metrics.statistics.statistic import (
    OfRows,
    Rows,
    Take,
    WithoutInterval,
    rows_of,
)


@dataclass(frozen=True)
class EffectSize(OfRows):
    """Compares the documents' means of a number with those of its control, by the jackknife.

    Attributes:
        measure: The effect size, of both means of each document.
        take: Gives the number.
        control: Gives the control.
    """

    measure: Callable[[Floats, Floats], float | None]
    take: Take
    control: Take

    @property
    def _takes(self) -> tuple[Take, ...]:
        return (self.take, self.control)

    def _value(self, rows: Rows) -> float | None:
        sums = rows.sums()
        first, second = (total / sums.count for total in sums.totals)
        return self.measure(first, second)

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        sums = rows.sums()
        first, second = (total / sums.count for total in sums.totals)
        return jackknife_interval(
            lambda kept: self.measure(first[kept], second[kept]),
            sums.image,
            paired=sums.second,
            level=level,
        )


@dataclass(frozen=True)
class ChangeTest(WithoutInterval):
    """The p of a test of changes, in which an image is one observation.

    Attributes:
        test: From the sum of each document's changes, its image and its number of changes to p.
        take: Gives the change of each answer.
    """

    test: Callable[[Floats, Ints, Floats], float | None]
    take: Take

    @property
    def _takes(self) -> tuple[Take, ...]:
        return (self.take,)

    def value(self, answers: Answers) -> float | None:
        """Return the p; None where the test cannot be made."""
        rows = rows_of((answers,), self._takes)
        if rows is None:
            return None
        sums = rows.sums()
        return self.test(sums.totals[0], sums.image, sums.count)
