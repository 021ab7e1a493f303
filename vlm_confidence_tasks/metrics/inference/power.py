"""The smallest effect that images can show, by the interval that would show it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import stdtrit

from vlm_confidence_tasks.metrics.inference.clusters import (
    FEWEST_CLUSTERS,
    LEVEL,
    Interval,
    smallest_alpha,
)

POWER = 0.8
_HALVINGS, _ROUNDING = 100, 1e-9


@dataclass(frozen=True)
class Detectable:
    """The smallest effect that so many images can show.

    Attributes:
        effect: The effect.
        images: How many images.
        level: Of the interval.
        power: The chance that it excludes a value as far from the truth.
        error: Standard error over images, if it is known.
    """

    effect: float
    images: int
    level: float = LEVEL
    power: float = POWER
    error: float | None = None

    def images_for(self, asked: float) -> int:
        """Return how many such images another effect takes, at least 5.

        What n images can show is made of two: standard errors, which fall with the square root of n
        and are fewer as Student's quantiles fall; and what the interval adds for skewness and rare
        events, which falls with n. Where `error` is not known, all is taken for the first.

        Raises:
            ValueError: `asked` is not over 0.

        >>> Detectable(0.1, 100).images_for(0.1), Detectable(0.1, 100).images_for(0.05)
        (100, 395)

        No event on 100 images leaves a rate of 0.05 possible; 0.01 takes five times as many:

        >>> Detectable(0.05, 100, error=0.0).images_for(0.01)
        500
        """
        if not asked > 0:
            raise ValueError(f"effect must be over 0, got {asked}")
        errors = self._errors(self.images)
        normal = self.effect if self.error is None else min(self.effect, errors * self.error)

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
    at: Callable[[float], Interval | None],
    images: int,
    level: float = LEVEL,
    power: float = POWER,
    error: float | None = None,
) -> Detectable | None:
    """Return the smallest effect that images such as these can show.

    That is how far a value must be from the truth, for the interval of as many other images to
    exclude it with a chance of `power`: r + w r', with r the longer side of these images' interval
    and r' that of the interval of level 2 power - 1: an estimate lies further from the truth, on
    one side, with a chance of 1 - power. w = sqrt(1 + (t^2 + (t + t')^2) / (2 images - 2)), with t
    and t' Student's quantiles of test and power, is there since standard errors are estimates, of
    these images and of the others. Of a normal mean on many images the effect is (1.96 + 0.84)
    standard errors. Measured: docs/studies/power.md.

    Args:
        at: Gives the interval of a level.
        images: How many images it is over.
        level: Of the interval that is to exclude the value.
        power: With which chance, over 0.5.
        error: Standard error over images, if it is known, for `Detectable.images_for`.

    Returns:
        None without an interval, and where one image decides at the level.

    Source: Bloom 1995; of a variance that is an estimate: Julious and Owen 2006.

    >>> from scipy.special import ndtri
    >>> def of_error_1(level):
    ...     return Interval(0.0, -ndtri((1 + level) / 2), ndtri((1 + level) / 2))
    >>> [round(detectable(of_error_1, images).effect, 2) for images in (30, 9999)]
    [2.89, 2.8]
    """
    wide, narrow = at(level), at(2.0 * power - 1.0)
    if wide is None or narrow is None or smallest_alpha(wide.influence) > 1.0 - level:
        return None
    effect = _longer(wide) + _doubt(images, level, power) * _longer(narrow)
    return Detectable(effect, images, level, power, error)


def _longer(interval: Interval) -> float:
    return float(max(interval.estimate - interval.low, interval.high - interval.estimate))


def _doubt(images: int, level: float, power: float) -> float:
    """Return how much wider estimates spread, in errors that are estimates too."""
    beyond, above = _quantiles(images, level, power)
    return math.sqrt(1.0 + (beyond**2 + (beyond + above) ** 2) / (2.0 * images - 2.0))


def _quantiles(images: float, level: float, power: float) -> tuple[float, float]:
    """Return Student's quantiles of the test and of the power."""
    beyond, above = (float(stdtrit(images - 1.0, tail)) for tail in ((1.0 + level) / 2.0, power))
    return beyond, above
