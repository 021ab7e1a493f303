"""The smallest effect that images can show, by the interval that would show it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.inference.clusters import (
    FEWEST_CLUSTERS,
    LEVEL,
    Interval,
    sides,
    smallest_alpha,
)

POWER = 0.8
# Beyond, 80% is missed by over 3 points on a side: docs/studies/power.md.
MOST_SKEWNESS = 0.1
_HALVINGS, _ROUNDING = 100, 1e-9
# Of all that a mean's numbers move it by, as a share.
_NO_MOVE = 1e-12


@dataclass(frozen=True)
class Detectable:
    """The smallest effect that so many images can show.

    Attributes:
        effect: The effect.
        images: How many images.
        error: Standard error over images.
        level: Of the interval.
        power: The chance that it excludes a value as far from the truth.
    """

    effect: float
    images: int
    error: float
    level: float = LEVEL
    power: float = POWER

    def images_for(self, asked: float) -> int:
        """Return how many such images another effect takes, at least 5.

        The effect is made of two parts: standard errors, which fall with the square root of the
        number of images (and Student's quantiles fall too); and what the interval adds for skewness
        and rare events, which falls with the number itself.

        Raises:
            ValueError: `asked` is not over 0.

        >>> Detectable(0.1, 100, 0.04).images_for(0.1), Detectable(0.1, 100, 0.04).images_for(0.05)
        (100, 395)

        No event on 100 images leaves a rate of 0.04 possible; 0.01 takes four times as many:

        >>> Detectable(0.04, 100, 0.0).images_for(0.01)
        400
        """
        if not asked > 0:
            raise ValueError(f"effect must be over 0, got {asked}")
        errors = self._errors(self.images)
        normal = min(self.effect, errors * self.error)

        def shown(images: float) -> float:
            share = self.images / images
            fallen = math.sqrt(share) * self._errors(images) / errors
            return normal * fallen + (self.effect - normal) * share

        few = most = float(FEWEST_CLUSTERS)
        while shown(most) > asked:
            few, most = most, 2.0 * most
        for _ in range(_HALVINGS):
            middle = (few + most) / 2.0
            few, most = (middle, most) if shown(middle) > asked else (few, middle)
        return math.ceil(most * (1.0 - _ROUNDING))

    def _errors(self, images: float) -> float:
        """Return how many standard errors of a normal mean on so many images can be shown."""
        beyond, above = _quantiles(images, self.level, self.power)
        return beyond + _doubt(self.images, self.level, self.power) * above


def detectable(
    interval: Interval | None,
    images: int,
    level: float = LEVEL,
    power: float = POWER,
    error: float | None = None,
) -> Detectable | None:
    """Return the smallest effect that images such as these can show.

    That is how far a value must be from the truth, for the interval of as many other images to
    exclude it with a chance of `power`: r + w t' s, with r the longer side of these images'
    interval, s the standard error, and t and t' Student's quantiles of the test and of the power.
    w = sqrt(1 + (t^2 + (t + t')^2) / (2 images - 2)) is there since standard errors are estimates,
    of these images and of the others. Of a normal mean on many images the effect is (1.96 + 0.84)
    standard errors. Measured: docs/studies/power.md.

    Args:
        interval: Of these images, at the level.
        images: How many images it is over.
        level: Of the interval that is to exclude the value.
        power: With which chance, over 0.5.
        error: Standard error over images; by default the interval's width over 2 t.

    Returns:
        None without an interval, and where one image decides at the level.

    Source: Bloom 1995; of a variance that is an estimate: Julious and Owen 2006.

    >>> of_error_1 = Interval(0.0, -1.96, 1.96)
    >>> [round(detectable(of_error_1, images, error=1.0).effect, 2) for images in (30, 9999)]
    [2.9, 2.8]
    """
    if interval is None or smallest_alpha(interval.influence) > 1.0 - level:
        return None
    beyond, above = _quantiles(images, level, power)
    if error is None:
        error = (interval.high - interval.low) / (2.0 * beyond)
    side = max(interval.estimate - interval.low, interval.high - interval.estimate)
    effect = float(side) + _doubt(images, level, power) * above * error
    return Detectable(effect, images, error, level, power)


def _doubt(images: int, level: float, power: float) -> float:
    """Return how much wider estimates spread, in errors that are estimates too."""
    beyond, above = _quantiles(images, level, power)
    return math.sqrt(1.0 + (beyond**2 + (beyond + above) ** 2) / (2.0 * images - 2.0))


def _quantiles(images: float, level: float, power: float) -> tuple[float, float]:
    """Return Student's quantiles of the test and of the power."""
    beyond, above = (float(stdtrit(images - 1.0, tail)) for tail in ((1.0 + level) / 2.0, power))
    return beyond, above


def moves(groups: Ints, numbers: Floats, paired: Bools | None = None) -> Floats:
    """Return how far each of K groups moves a mean, or a difference of two, [K].

    Each number moves it by (number - mean) / N; these are summed over a group.

    Args:
        groups: The group of each number, [N].
        numbers: Whose mean it is, [N].
        paired: Whether each is of the second mean, [N], of a difference.
    """
    *others, last = sides(paired, numbers.size)
    moved = np.zeros(numbers.size)
    for side, sign in ((last, 1.0), *((side, -1.0) for side in others)):
        moved[side] = sign * (numbers[side] - numbers[side].mean()) / np.count_nonzero(side)
    _, index = np.unique(groups, return_inverse=True)
    totals = np.bincount(index, moved).astype(np.float64)
    # Rounding alone is no variance.
    totals[np.abs(totals) < _NO_MOVE * np.abs(moved).sum()] = 0.0
    return totals


def variance_of(moved: Floats) -> float:
    """Return the variance of what K independent groups move by `moves`, [K]: K / (K - 1) sum m^2.

    Of images it is the squared standard error; of documents it is what it would be if questions
    about one image were independent. Their ratio is the design effect.

    Source: Kish 1965, section 5.4, and chapter 8 on the design effect.

    >>> variance_of(moves(np.arange(4), np.array([1.0, 2.0, 3.0, 4.0])))  # their variance / 4
    0.4166666666666667
    """
    return float((moved**2).sum() * moved.size / max(1, moved.size - 1))


def is_skewed(moved: Floats) -> bool:
    """Whether the sampling distribution of what images move is skewed by over 0.1, or unknown.

    sum m^3 / (sum m^2)^1.5: the skewness of the images over the square root of their number. Then
    an effect is shown on one side with less than the power, and on the other with more.
    """
    squares = float((moved**2).sum())
    return not squares or abs(float((moved**3).sum())) > MOST_SKEWNESS * squares**1.5
