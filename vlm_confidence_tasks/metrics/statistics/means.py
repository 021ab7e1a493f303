"""Means over answers, and rates: means of what is 0 or 1."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, Interval
from vlm_confidence_tasks.metrics.inference.inverted import inverted_p
from vlm_confidence_tasks.metrics.inference.means import mean_interval, mean_p
from vlm_confidence_tasks.metrics.inference.rare_errors import (
    loss_interval,
    overconfidence_interval,
)
from vlm_confidence_tasks.metrics.inference.rates import rate_interval
from vlm_confidence_tasks.metrics.statistics.statistic import (
    DocumentSums,
    OfRows,
    Rows,
    Take,
    second_view,
)

Bounds = tuple[float, float]
NO_BOUNDS: Bounds = (-np.inf, np.inf)
SHARE: Bounds = (0.0, 1.0)
POSITIVE: Bounds = (0.0, np.inf)
SHARES_APART: Bounds = (-1.0, 1.0)


@dataclass(frozen=True)
class Mean(OfRows):
    """The mean of one number per answer; its interval is a studentized bootstrap.

    Attributes:
        take: Gives the numbers.
        within: Range of the numbers, to which the interval is clipped.
    """

    take: Take
    within: Bounds = NO_BOUNDS

    @property
    def _takes(self) -> tuple[Take, ...]:
        return (self.take,)

    def numbers(self, rows: Rows) -> Floats:
        """Return the numbers whose mean it is, [N]."""
        return rows.columns[0]

    def sums(self, answers: Answers) -> DocumentSums | None:
        """Return the sum and number of each document's numbers; None without any."""
        rows = self.rows(answers)
        return None if rows is None else self._alone(rows).sums()

    def p(self, *views: Answers) -> float | None:
        """Return the p of the mean, or of its difference in two views, against 0.

        It is under 0.05 where the 95% interval excludes 0. None without an interval, and where
        one image decides.
        """
        rows = self._rows_for_interval(*views)
        return None if rows is None else self._p(rows)

    def _p(self, rows: Rows) -> float | None:
        sums = self._alone(rows).sums()
        return mean_p(sums.totals[0], sums.count, sums.image, paired=sums.second)

    def _alone(self, rows: Rows) -> Rows:
        return replace(rows, columns=(self.numbers(rows),))

    def _value(self, rows: Rows) -> float:
        # `fsum`, so that the result does not depend on the order of answers.
        return math.fsum(self.numbers(rows)) / rows.image.size

    def _ratio(self, rows: Rows) -> tuple[Floats, Floats]:
        return self.numbers(rows), np.ones(rows.image.size)

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        sums, (low, high) = self._alone(rows).sums(), self.within
        within = (low, high) if rows.second is None else (low - high, high - low)
        return mean_interval(
            *(sums.totals[0], sums.count, sums.image),
            paired=sums.second,
            within=within,
            level=level,
        )


@dataclass(frozen=True)
class Rate(Mean):
    """The share of answers for which something holds; the interval is Korn and Graubard's."""

    within: Bounds = SHARE

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        sums = rows.sums()
        columns = (sums.totals[0], sums.count, sums.image)
        return rate_interval(*columns, paired=sums.second, level=level)

    def _p(self, rows: Rows) -> float | None:
        return inverted_p(partial(self._bounds, rows))


@dataclass(frozen=True)
class Loss(Mean):
    """A mean of losses that a few large losses may dominate.

    Attributes:
        most: The largest loss; the smallest is 0.
    """

    most: float = 1.0

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        sums = rows.sums()
        columns = (sums.totals[0] / self.most, sums.count, sums.image)
        found = loss_interval(*columns, paired=sums.second, level=level)
        if found is None:
            return None
        estimate, low, high = (self.most * end for end in (found.estimate, found.low, found.high))
        return Interval(estimate, low, high, found.influence)

    def _p(self, rows: Rows) -> float | None:
        return inverted_p(partial(self._bounds, rows))


@dataclass(frozen=True)
class MeanDifference(Mean):
    """The mean of one number less another, over the answers that have both.

    Attributes:
        other: Gives the other number.
    """

    other: Take = lambda answers: answers.correct

    @property
    def _takes(self) -> tuple[Take, ...]:
        return (self.take, self.other)

    def numbers(self, rows: Rows) -> Floats:
        """Return the differences, [N]."""
        difference: Floats = rows.columns[0] - rows.columns[1]
        return difference


@dataclass(frozen=True)
class Overconfidence(MeanDifference):
    """Mean confidence less accuracy, over the answers that have both."""

    take: Take = lambda answers: answers.confidence
    within: Bounds = SHARES_APART

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        sums = rows.sums()
        columns = (*sums.totals, sums.count, sums.image)
        return overconfidence_interval(*columns, paired=sums.second, level=level)

    def _p(self, rows: Rows) -> float | None:
        return inverted_p(partial(self._bounds, rows))


@dataclass(frozen=True)
class RateDifference(MeanDifference):
    """A rate less that of a control, over the answers that have both.

    The interval is by MOVER from those of both rates; of two views that of the mean difference.
    """

    within: Bounds = SHARES_APART

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        if rows.second is not None:
            return super()._bounds(rows, level)
        sums = rows.sums()
        return rate_interval(
            np.concatenate(sums.totals[::-1]),
            np.tile(sums.count, 2),
            np.tile(sums.image, 2),
            paired=second_view([sums.count.size] * 2),
            level=level,
        )


@dataclass(frozen=True)
class PerImage(OfRows):
    """The mean over images of each image's mean: images weigh alike, however many answers.

    Its interval is that of the mean, of one number per image.

    Attributes:
        mean: The mean over answers.
    """

    mean: Mean

    @property
    def _takes(self) -> tuple[Take, ...]:
        return self.mean._takes

    def rows(self, *views: Answers) -> Rows | None:
        """Return one row per image."""
        rows = super().rows(*views)
        return None if rows is None else rows.per_image()

    def _value(self, rows: Rows) -> float:
        return self.mean._value(rows)

    def _ratio(self, rows: Rows) -> tuple[Floats, Floats]:
        return self.mean._ratio(rows)

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        return self.mean._bounds(rows, level)


@dataclass(frozen=True)
class MeanOverFamilies(OfRows):
    """The mean over families of the rate in each: families weigh alike.

    Attributes:
        take: Gives the numbers, of the answers that pooled metrics count.
    """

    take: Take

    @property
    def _takes(self) -> tuple[Take, ...]:
        return (self.take, _family)

    def difference(self, first: Answers, second: Answers, level: float = LEVEL) -> Interval | None:
        """Return the interval of the difference; None unless both views show the same families."""
        if first.families != second.families:
            return None
        return super().difference(first, second, level)

    def _value(self, rows: Rows) -> float:
        numbers, family = rows.columns
        rates = [numbers[family == one] for one in np.unique(family)]
        return math.fsum(math.fsum(rate) / rate.size for rate in rates) / len(rates)

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        families = np.unique(rows.columns[1])
        shown = [(rows.columns[1] == family).astype(np.float64) for family in families]
        hits = [rows.columns[0] * each for each in shown]
        sums = replace(rows, columns=(*hits, *shown)).sums()
        totals = np.column_stack(sums.totals)
        return rate_interval(
            totals[:, : families.size],
            totals[:, families.size :],
            sums.image,
            paired=sums.second,
            level=level,
        )


def _family(answers: Answers) -> Floats:
    return answers.family.astype(np.float64)


def squared_gap(answers: Answers) -> Floats:
    """(confidence - correct)^2 of the given answer alone."""
    gap: Floats = (answers.confidence - answers.correct) ** 2
    return gap


def squared_gaps(answers: Answers) -> Floats:
    """Sum over labels of (p - [right label])^2, in [0, 2]; source: Brier 1950."""
    probs = answers.probs
    right = answers.gold[:, None] == np.arange(probs.shape[1])
    known = ~np.isnan(answers.confidence) & ~np.isnan(answers.label_prob(answers.gold))
    return np.where(known, np.nansum((probs - right) ** 2, axis=1), np.nan)
