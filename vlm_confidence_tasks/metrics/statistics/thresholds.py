"""What a threshold on entropy rejects: the threshold is set anew without each group of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats
from vlm_confidence_tasks.metrics.functional.defense import ThresholdDefense, threshold_defense
from vlm_confidence_tasks.metrics.inference.clusters import FEWEST_CLUSTERS, Interval, seen_on
from vlm_confidence_tasks.metrics.inference.jackknife import deleted_interval, deletions
from vlm_confidence_tasks.metrics.statistics.statistic import Rows, Statistic, Views, joined


def entropy(answers: Answers) -> Floats:
    """Return the entropy of each row whose counterpart has one too, [N]."""
    return np.where(np.isnan(answers.counterpart.entropy), np.nan, answers.entropy)


def clean_entropy(answers: Answers) -> Floats:
    """Return the entropy of each row's clean counterpart, where both have one, [N]."""
    return entropy(answers.counterpart)


def defense(answers: Answers) -> ThresholdDefense | None:
    """Set the threshold on all clean entropies of a view's pairs, and count; None without any."""
    rows = joined((answers,), clean_entropy, entropy)
    return None if rows is None else threshold_defense(*rows.columns)


@dataclass(frozen=True)
class EntropyThreshold(Statistic):
    """What "reject if H > 95th percentile of clean entropies" does to perturbed images.

    Attributes:
        measure: What is read from the defence.
        rejects: Whether it is a share over the threshold, which few clean entropies decide: it has
            no interval where under 5 images have a clean entropy above it.
        bounded: Whether there is an interval: the share of clean images that are rejected is set,
            and estimates nothing.
    """

    measure: Callable[[ThresholdDefense], float]
    rejects: bool = True
    bounded: bool = True

    @property
    def estimates(self) -> bool:
        """Whether there is an interval."""
        return self.bounded

    def value(self, answers: Answers) -> float | None:
        """Return what the threshold does; None without entropies."""
        found = answers.once(defense)
        return None if found is None else self.measure(found)

    def _interval(self, views: Views, level: float) -> Interval | None:
        if not self.bounded:
            return None
        rows = joined(views, clean_entropy, entropy)
        if rows is None or (self.rejects and _few_above(rows, views)):
            return None
        without = views[0].once(_without_groups) if len(views) == 1 else _deleted(rows)
        numbers = [[None if d is None else self.measure(d) for d in each] for each in without]
        return deleted_interval(numbers, scale="logit", level=level)


def _few_above(rows: Rows, views: Views) -> bool:
    defenses = [answers.once(defense) for answers in views]
    thresholds = np.array([found.threshold for found in defenses if found is not None])
    second = np.zeros(rows.image.size, dtype=np.intp) if rows.second is None else rows.second
    above: Bools = rows.columns[0] > thresholds[second.astype(np.intp)]
    return seen_on(rows.image, above, rows.second) < FEWEST_CLUSTERS


def _without_groups(answers: Answers) -> list[list[ThresholdDefense | None]]:
    rows = joined((answers,), clean_entropy, entropy)
    return [] if rows is None else _deleted(rows)


def _deleted(rows: Rows) -> list[list[ThresholdDefense | None]]:
    """Return the defence on all rows and without each group of images, of each view."""
    clean, moved = rows.columns
    return [
        [threshold_defense(clean[kept], moved[kept]) if kept.size else None for kept in conditions]
        for conditions in deletions(rows.image, rows.second)
    ]
