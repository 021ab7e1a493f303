"""The record of a metric: every name is written out in one record of this room.

A record may stand for several metrics: on perturbed and on clean images, of several sources of
confidence, of every channel, band or family. `measure` alone spells their names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers, Source
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic
from vlm_confidence_tasks.types import Measure


@dataclass(frozen=True)
class Side:
    """Which answers a metric is of.

    Attributes:
        suffix: What the metric's name ends in.
        images: Its images in words, "{images}" of descriptions.
        view: Gives the view of a table.
    """

    suffix: str
    images: str
    view: Callable[[Answers], Answers]


Sides = tuple[Side, ...]
PERTURBED: Sides = (Side("", "perturbed images", lambda answers: answers.perturbed),)
CLEAN: Sides = (Side("_clean", "clean images", lambda answers: answers.clean),)
BOTH = PERTURBED + CLEAN
# Views that add no suffix to the name.
DOCUMENTS: Sides = (Side("", "all clean images, once each", lambda answers: answers.documents),)
VARIANTS: Sides = (Side("", "perturbed images", lambda answers: answers.variants),)
SHOWN: Sides = (Side("", "clean and perturbed images", lambda answers: answers.shown),)

UP, DOWN = True, False

# Limits of rates and of other means over answers, the lowest of 100 images in
# docs/studies/coverage.md. "{per_image}" stands for the metric in which images weigh alike.
_FEW = "where few images have many questions: see `{per_image}`"
RATE_HELD = f"its interval holds in 47% {_FEW}"
MEAN_HELD = f"its interval holds in 24% {_FEW}"


@dataclass(frozen=True)
class Metric:
    """One number of a task's results, or the same number of several kinds of answers.

    Attributes:
        name: Its name; "{channel}", "{band}" and "{family}" stand for each of these.
        statistic: How it is computed and how its interval is made.
        description: What it means, in one line; "{images}" stands for those of the side.
        higher_is_better: `UP` where more is better, `DOWN` where less is; None for neither.
        sides: Which answers it is of, a metric for each.
        source: What the confidence is read from.
        also: Further sources of a confidence, with the same metric under the source's prefix.
        requires: What a task must measure for it to exist, besides what the source requires.
        core: The sides that a task shows unless it lists others.
        floor: Name of the metric that it is to be held against, what a perfectly calibrated
            model would show.
        is_p: Whether it is a p-value, one among others.
        per_image: Whether there is a second metric, in which images weigh alike; of means alone.
        formerly: Its name in release 0.1.0, which is understood for one more release.
        redefined: Whether release 0.1.0 had another number under its name, so that results files
            may hold that.
        limits: Where its interval or test does not hold as promised; "{per_image}" stands for the
            second metric.
        needs: How much data it takes before the number says something, in questions unless it
            says what.
        cannot_tell: What it says nothing about, and which metric does.
    """

    name: str
    statistic: Statistic
    description: str
    higher_is_better: bool | None = None
    sides: Sides = PERTURBED
    source: Source = "generated"
    also: tuple[Source, ...] = ()
    requires: frozenset[Measure] = frozenset()
    core: Sides = ()
    floor: str | None = None
    is_p: bool = False
    per_image: bool = False
    formerly: str = ""
    redefined: bool = False
    limits: str = ""
    needs: str = "300"
    cannot_tell: str = ""


def only(rows: Bools, numbers: Floats | Bools) -> Floats:
    """Keep the numbers of some rows: NaN in all others, [N]."""
    return np.where(rows, numbers, np.nan)
