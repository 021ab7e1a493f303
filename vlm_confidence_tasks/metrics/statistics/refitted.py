"""Numbers of what was fitted on the other half of the images.

Repaired confidences have the intervals of unrepaired ones, with what was fitted on the other
half taken as given. Shares behind a threshold and sizes of sets depend more on what was fitted:
there it is fitted anew without each group of images.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.calibration import expected_calibration_error
from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.functional.recalibration import fit_temperature
from vlm_confidence_tasks.metrics.inference.calibration_error import calibration_error_interval
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, Interval, seen_on, too_few
from vlm_confidence_tasks.metrics.inference.jackknife import (
    Scale,
    deleted_interval,
    deletions,
)
from vlm_confidence_tasks.metrics.inference.means import mean_interval
from vlm_confidence_tasks.metrics.inference.rare_errors import loss_interval
from vlm_confidence_tasks.metrics.inference.rates import rate_interval
from vlm_confidence_tasks.metrics.statistics.calibration_errors import Calibration
from vlm_confidence_tasks.metrics.statistics.cross_fit import (
    CrossFit,
    Refit,
    Table,
    label_columns,
    tables_without_groups,
)
from vlm_confidence_tasks.metrics.statistics.statistic import DocumentSums, Views, second_view

# With wrong answers on fewer images, as few as 54% of intervals of a repaired ECE held where 90% of
# the confidences are exactly 1; with 8, 90 to 100% of these on 30 and 100 images.
FEWEST_WRONG = 8


class OfViews(Calibration):
    """A number whose interval needs the whole view, not only one number per answer."""

    @abstractmethod
    def _interval(self, views: Views, level: float) -> Interval | None: ...

    def interval(self, answers: Answers, level: float = LEVEL) -> Interval | None:
        """Return the interval of a view's number."""
        return self._of((answers,), level)

    def difference(self, first: Answers, second: Answers, level: float = LEVEL) -> Interval | None:
        """Return the interval of the second view's number less the first's, paired by image."""
        return self._of((first, second), level)

    def _of(self, views: Views, level: float) -> Interval | None:
        """Return the interval; None where a view has too few images for one."""
        images = [answers.image[self.counts(answers)] for answers in views]
        if any(not image.size or too_few(np.bincount(image)) for image in images):
            return None
        return self._interval(views, level)


@dataclass(frozen=True)
class Temperature(OfViews):
    """The temperature of all clean answers, each once; the interval is of its logarithm."""

    def value(self, answers: Answers) -> float | None:
        """Return the temperature; None where none is best."""
        probs, gold, _ = _clean_labels(answers)
        found = fit_temperature(probs, gold) if gold.size else None
        return None if found is None else float(found)

    def _interval(self, views: Views, level: float) -> Interval | None:
        parts = [_clean_labels(answers) for answers in views]
        if not all(gold.size for _, gold, _ in parts):
            return None
        kept = deletions(np.concatenate([image for *_, image in parts]))
        first = np.cumsum([gold.size for _, gold, _ in parts])[:-1]
        fitted = [
            fit_temperature(probs, gold, rows)
            for (probs, gold, _), rows in zip(parts, np.split(kept, first, axis=1), strict=True)
        ]
        known = [temperatures for temperatures in fitted if temperatures is not None]
        if len(known) < len(views):
            return None
        return deleted_interval(np.column_stack(known), "log", level)


def _clean_labels(answers: Answers) -> tuple[Floats, Ints, Ints]:
    probs, _, gold, _, image = label_columns(answers.clean_once)
    usable = ~np.isnan(probs).all(axis=1)
    return probs[usable], gold[usable], image[usable]


@dataclass(frozen=True)
class Refitted(OfViews):
    """A number of what a fit makes of each answer.

    Attributes:
        refit: The fit.
    """

    refit: Refit

    def table(self, answers: Answers) -> Table | None:
        """Return what the fit makes of a view's answers; None where it cannot be made."""
        fit = answers.once(self.refit)
        return None if fit is None else fit.table

    def fits(self, views: Views) -> tuple[CrossFit, ...] | None:
        """Return the fits of all views; None if one has none."""
        found = tuple(f for answers in views if (f := answers.once(self.refit)) is not None)
        return found if len(found) == len(views) else None


@dataclass(frozen=True)
class RefittedError(Refitted):
    """ECE of repaired confidences; the interval inverts a test.

    There is none where under 8 images have a wrong answer: what is fitted to these few, and taken
    as given, moves the error more than the test knows.
    """

    def value(self, answers: Answers) -> float | None:
        """Return the ECE."""
        table = self.table(answers)
        if table is None:
            return None
        return expected_calibration_error(table.column("confidence"), table.column("correct"))

    def _interval(self, views: Views, level: float) -> Interval | None:
        fits, numbers = self.fits(views), [self.value(answers) for answers in views]
        known = [number for number in numbers if number is not None]
        if fits is None or len(known) < len(views):
            return None
        tables = [(fit, fit.table) for fit in fits if fit.table is not None]
        correct = np.concatenate([table.column("correct") for _, table in tables])
        images = np.concatenate([fit.image[table.owner] for fit, table in tables])
        second = second_view([table.owner.size for _, table in tables])
        if seen_on(images, correct == 0, second) < FEWEST_WRONG:
            return None
        return calibration_error_interval(
            np.concatenate([table.column("confidence") for _, table in tables]),
            correct,
            images,
            estimate=known[-1] - (known[0] if len(views) > 1 else 0.0),
            kind="uniform",
            paired=second,
            level=level,
        )


@dataclass(frozen=True)
class RefittedRatio(Refitted):
    """The sum of one column of a fit's table over that of another, "one" being the answers.

    Attributes:
        above: The column of the numerator.
        below: The column of the denominator.
    """

    above: str
    below: str = "one"

    def value(self, answers: Answers) -> float | None:
        """Return the ratio; None if it divides by 0."""
        table = self.table(answers)
        if table is None:
            return None
        above, below = (math.fsum(table.column(name)) for name in (self.above, self.below))
        return above / below if below else None

    def ratios(self, table: Table) -> Floats:
        """Divide the sums of each selection, NaN where that divides by 0, [F]."""
        below = table.total(self.below)
        return table.total(self.above) / np.where(below > 0, below, np.nan)

    def _interval(self, views: Views, level: float) -> Interval | None:
        fits = self.fits(views)
        if fits is None:
            return None
        sums = self._sums(fits, tuple(fit.table for fit in fits))
        return None if sums is None else self.given(sums, level)

    def _sums(
        self, fits: tuple[CrossFit, ...], tables: tuple[Table | None, ...]
    ) -> DocumentSums | None:
        pairs = [(f, t) for f, t in zip(fits, tables, strict=True) if t is not None]
        if len(pairs) < len(fits):
            return None
        total, count = (
            np.concatenate([table.sums(name, fit.image.size) for fit, table in pairs])
            for name in (self.above, self.below)
        )
        image = np.concatenate([fit.image for fit in fits])
        second = second_view([fit.image.size for fit in fits])
        return DocumentSums((total,), count, np.arange(image.size), image, second)

    @abstractmethod
    def given(self, sums: DocumentSums, level: float) -> Interval | None:
        """Return the interval with what was fitted taken as given."""


@dataclass(frozen=True)
class RefittedMean(RefittedRatio):
    """A mean of numbers of at least 0; the interval is a studentized bootstrap."""

    def given(self, sums: DocumentSums, level: float) -> Interval | None:
        """Return the interval of the mean."""
        return _positive_mean(sums, level)


@dataclass(frozen=True)
class RefittedLoss(RefittedRatio):
    """A mean of losses in [0, 1] that a few large losses may dominate."""

    def given(self, sums: DocumentSums, level: float) -> Interval | None:
        """Return the interval of the mean loss."""
        return loss_interval(
            sums.totals[0], sums.count, sums.image, paired=sums.second, level=level
        )


def _positive_mean(sums: DocumentSums, level: float) -> Interval | None:
    low = 0.0 if sums.second is None else -np.inf
    return mean_interval(
        sums.totals[0],
        sums.count,
        sums.image,
        paired=sums.second,
        within=(low, np.inf),
        level=level,
    )


class _BehindThreshold(RefittedRatio):
    """A ratio that depends on a threshold, which is set anew without each group of images.

    The jackknife's interval is widened to the one at this threshold, which alone is taken where
    no group moves the ratio.
    """

    scale: ClassVar[Scale]

    def _interval(self, views: Views, level: float) -> Interval | None:
        fits = self.fits(views)
        if fits is None:
            return None
        tables = fits[0].without_groups if len(fits) == 1 else tables_without_groups(fits)
        known = [table for table in tables if table is not None]
        if len(known) < len(tables):
            return None
        numbers = np.column_stack([self.ratios(table) for table in known])
        if np.isnan(numbers).any():
            return None
        sums = self._sums(fits, tuple(tables))
        fixed = None if sums is None else self.given(sums, level)
        # Without some group a share may be 0 or 1, where the scale ends.
        moved = deleted_interval(numbers, self.scale, level) or deleted_interval(
            numbers, level=level
        )
        if fixed is None or moved is None:
            still = np.ptp(numbers, axis=0).max() == 0
            return fixed if still else None
        low, high = min(moved.low, fixed.low), max(moved.high, fixed.high)
        if self.scale == "logit":
            low, high = max(low, -1.0 if len(fits) > 1 else 0.0), min(high, 1.0)
        return replace(fixed, low=low, high=high)


@dataclass(frozen=True)
class RefittedShare(_BehindThreshold):
    """A share of answers behind a threshold; at this threshold, Korn and Graubard's interval."""

    scale: ClassVar[Scale] = "logit"

    def given(self, sums: DocumentSums, level: float) -> Interval | None:
        """Return the interval of the share at this threshold."""
        return rate_interval(
            sums.totals[0], sums.count, sums.image, paired=sums.second, level=level
        )


@dataclass(frozen=True)
class RefittedSize(_BehindThreshold):
    """A mean size of sets behind a threshold; at this threshold, the bootstrap's interval."""

    scale: ClassVar[Scale] = "identity"

    def given(self, sums: DocumentSums, level: float) -> Interval | None:
        """Return the interval of the mean size at this threshold."""
        return _positive_mean(sums, level)
