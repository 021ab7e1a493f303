"""Means over answers, and rates: means of what is 0 or 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.inference.clusters import Interval
from vlm_confidence_tasks.metrics.inference.means import mean_interval
from vlm_confidence_tasks.metrics.inference.rare_errors import (
    loss_interval,
    overconfidence_interval,
)
from vlm_confidence_tasks.metrics.inference.rates import rate_interval
from vlm_confidence_tasks.metrics.statistics.statistic import (
    DocumentSums,
    Statistic,
    Take,
    Views,
    document_sums,
    joined_sums,
    second_view,
)

Bounds = tuple[float, float]
NO_BOUNDS: Bounds = (-np.inf, np.inf)
SHARE: Bounds = (0.0, 1.0)
POSITIVE: Bounds = (0.0, np.inf)


def mean(values: Floats) -> float | None:
    """Return the mean of the numbers that are not NaN; None without any.

    `fsum`, so that the result does not depend on their order.
    """
    known = values[~np.isnan(values)]
    return math.fsum(known) / known.size if known.size else None


@dataclass(frozen=True)
class Mean(Statistic):
    """The mean of one number per answer; its interval is a studentized bootstrap.

    Attributes:
        take: Gives the numbers.
        within: Range of the numbers, to which the interval is clipped.
    """

    take: Take
    within: Bounds = NO_BOUNDS

    def numbers(self, answers: Answers) -> Floats:
        """Return the number of each row, NaN where it has none, [N]."""
        return self.take(answers)

    def value(self, answers: Answers) -> float | None:
        """Return the mean over all answers that have the number."""
        return mean(self.numbers(answers))

    def sums(self, answers: Answers) -> DocumentSums | None:
        """Return the sum and number of each document's numbers; None without any."""
        return document_sums(answers, self.numbers)

    def _interval(self, views: Views, level: float) -> Interval | None:
        sums = joined_sums(views, self.numbers)
        if sums is None:
            return None
        low, high = self.within
        return mean_interval(
            *(sums.totals[0], sums.count, sums.image),
            paired=sums.second,
            within=(low, high) if len(views) == 1 else (low - high, high - low),
            level=level,
        )


@dataclass(frozen=True)
class Rate(Mean):
    """The share of answers for which something holds; the interval is Korn and Graubard's."""

    within: Bounds = SHARE

    def _interval(self, views: Views, level: float) -> Interval | None:
        sums = joined_sums(views, self.numbers)
        if sums is None:
            return None
        return rate_interval(
            sums.totals[0], sums.count, sums.image, paired=sums.second, level=level
        )


@dataclass(frozen=True)
class RateDifference(Mean):
    """A rate less the rate of a control, over the answers that have both.

    The interval is by MOVER from those of both rates; of two views that of the mean difference.

    Attributes:
        control: Gives the numbers of the control, each in [0, 1].
    """

    control: Take = lambda answers: np.zeros(len(answers))
    within: Bounds = (-1.0, 1.0)

    def numbers(self, answers: Answers) -> Floats:
        """Return what holds less what holds of the control, NaN without one, [N]."""
        return self.take(answers) - self.control(answers)

    def _interval(self, views: Views, level: float) -> Interval | None:
        if len(views) > 1:
            return super()._interval(views, level)
        sums = document_sums(views[0], self.control, self.take)
        if sums is None:
            return None
        return rate_interval(
            np.concatenate(sums.totals),
            np.tile(sums.count, 2),
            np.tile(sums.image, 2),
            paired=second_view([sums.count.size] * 2),
            level=level,
        )


@dataclass(frozen=True)
class MeanOverFamilies(Statistic):
    """The mean over families of the rate in each: families weigh alike.

    Attributes:
        take: Gives the numbers, of the answers that pooled metrics count.
    """

    take: Take

    def value(self, answers: Answers) -> float | None:
        """Return the mean of the families' rates."""
        numbers = self.take(answers)
        known = ~np.isnan(numbers)
        rates = [
            numbers[known & (answers.family == family)] for family in range(len(answers.families))
        ]
        shown = [math.fsum(rate) / rate.size for rate in rates if rate.size]
        return math.fsum(shown) / len(shown) if shown else None

    def _interval(self, views: Views, level: float) -> Interval | None:
        parts = [document_sums(answers, self.take) for answers in views]
        names = list(dict.fromkeys(name for answers in views for name in answers.families))
        tables = []
        for answers, part in zip(views, parts, strict=True):
            if part is None:
                return None
            numbers = self.take(answers)
            known = ~np.isnan(numbers)
            cells = np.zeros((2, part.document.max() + 1, len(names)))
            place = np.array([names.index(name) for name in answers.families], dtype=np.intp)
            owner, family = answers.document[known], place[answers.family[known]]
            np.add.at(cells, (0, owner, family), numbers[known])
            np.add.at(cells, (1, owner, family), 1.0)
            tables.append(cells[:, part.document])
        hits, counts = np.concatenate(tables, axis=1)
        shown = counts.any(axis=0)
        images = np.concatenate([part.image for part in parts if part is not None])
        return rate_interval(
            hits[:, shown],
            counts[:, shown],
            images,
            paired=second_view([table.shape[1] for table in tables]),
            level=level,
        )


def squared_gap(answers: Answers) -> Floats:
    """(confidence - correct)^2 of the given answer, not over all labels; source: Brier 1950."""
    gap: Floats = (answers.confidence - answers.correct) ** 2
    return gap


@dataclass(frozen=True)
class Loss(Mean):
    """A mean of losses in [0, 1], most of which rare errors may be."""

    within: Bounds = SHARE

    def _interval(self, views: Views, level: float) -> Interval | None:
        sums = joined_sums(views, self.numbers)
        if sums is None:
            return None
        return loss_interval(
            sums.totals[0], sums.count, sums.image, paired=sums.second, level=level
        )


@dataclass(frozen=True)
class Overconfidence(Mean):
    """Mean confidence less accuracy, over the answers that have both."""

    take: Take = lambda answers: answers.confidence

    def numbers(self, answers: Answers) -> Floats:
        """Return confidence - correct, NaN without either, [N]."""
        return self.take(answers) - answers.correct

    def _interval(self, views: Views, level: float) -> Interval | None:
        sums = joined_sums(views, self.take, _correct)
        if sums is None:
            return None
        sure, right = sums.totals
        return overconfidence_interval(
            sure, right, sums.count, sums.image, paired=sums.second, level=level
        )


def _correct(answers: Answers) -> Floats:
    return answers.correct
