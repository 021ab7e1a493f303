"""Populations of one number an image whose mean is 0, from symmetric to hopeless."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.special import stdtrit

from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, Interval

Generator = np.random.Generator

# Mean entropy differences of the 30 images of `pope_adv_eps0.1` on the embedded model, in units of
# their standard deviation, less their mean: one image has 79% of the variance.
MEASURED = (
    *(-0.69, -0.57, -0.55, -0.55, -0.41, -0.39, -0.38, -0.33, -0.31, -0.29, -0.29, -0.29),
    *(-0.26, -0.25, -0.25, -0.25, -0.22, -0.22, -0.22, -0.21, -0.21, -0.16, -0.12, -0.10),
    *(-0.09, 0.03, 0.12, 1.13, 1.46, 4.87),
)


def _exponential(rng: Generator, images: int) -> Floats:
    return rng.exponential(1.0, images) - 1.0


def _lognormal(sigma: float, rng: Generator, images: int) -> Floats:
    return rng.lognormal(0.0, sigma, images) - np.exp(sigma**2 / 2.0)


def _measured(rng: Generator, images: int) -> Floats:
    return rng.choice(np.array(MEASURED) - np.mean(MEASURED), images)


def student_interval(values: Floats, level: float = LEVEL) -> Interval:
    """Return Student's interval of a mean, with the influence of its most influential image.

    The package's interval is never narrower: where this one holds a number, so does that.
    """
    squares = (values - values.mean()) ** 2
    error = np.sqrt(squares.sum() / (values.size - 1) / values.size)
    reach = error * stdtrit(values.size - 1, (1.0 + level) / 2.0)
    mean, influence = float(values.mean()), float(squares.max() / squares.sum())
    return Interval(mean, mean - reach, mean + reach, influence)


SHAPES: dict[str, Callable[[Generator, int], Floats]] = {
    "normal": lambda rng, images: rng.standard_normal(images),
    "Student's t, 3 degrees": lambda rng, images: rng.standard_t(3.0, images),
    "0 or 1, mean 0.2": lambda rng, images: (rng.random(images) < 0.2) - 0.2,
    "exponential": _exponential,
    "lognormal, sigma 1": partial(_lognormal, 1.0),
    "lognormal, sigma 1.5": partial(_lognormal, 1.5),
    "lognormal, sigma 2": partial(_lognormal, 2.0),
    "measured changes": _measured,
}
