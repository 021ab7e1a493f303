"""What a threshold on entropy rejects: the threshold is set anew without each group of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats
from vlm_confidence_tasks.metrics.functional.defense import (
    ThresholdDefense,
    defense_of_ranks,
    threshold_defense,
)
from vlm_confidence_tasks.metrics.functional.ranking import dense_ranks
from vlm_confidence_tasks.metrics.inference.clusters import (
    FEWEST_CLUSTERS,
    LEVEL,
    Interval,
    seen_on,
    sides,
)
from vlm_confidence_tasks.metrics.inference.jackknife import deleted_interval, deletions
from vlm_confidence_tasks.metrics.statistics.statistic import OfRows, Rows, Take, rows_of

# On all answers, then without each group of images, [1 + G], of each view.
Defenses = list[list[ThresholdDefense | None]]


def entropy(answers: Answers) -> Floats:
    """Return the entropy of each row whose counterpart has one too, [N]."""
    return np.where(np.isnan(answers.counterpart.entropy), np.nan, answers.entropy)


def clean_entropy(answers: Answers) -> Floats:
    """Return the entropy of each row's clean counterpart, where both have one, [N]."""
    return entropy(answers.counterpart)


@dataclass(frozen=True)
class EntropyThreshold(OfRows):
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
    def _takes(self) -> tuple[Take, ...]:
        return (clean_entropy, entropy)

    @property
    def estimates(self) -> bool:
        """Whether there is an interval."""
        return self.bounded

    def _value(self, rows: Rows) -> float | None:
        clean, moved = rows.columns
        return self.measure(threshold_defense(clean, moved))

    def interval(self, answers: Answers, level: float = LEVEL) -> Interval | None:
        """Return the interval; the defences without each group are those of other measures too."""
        rows = self._rows_for_interval(answers)
        return None if rows is None else self._of(answers.once(_without_groups), rows, level)

    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        return self._of(_deleted(rows), rows, level)

    def _of(self, defenses: Defenses, rows: Rows, level: float) -> Interval | None:
        thresholds = np.array([whole.threshold for whole in defenses[0] if whole is not None])
        second = np.zeros(rows.image.size) if rows.second is None else rows.second
        above = rows.columns[0] > thresholds[second.astype(np.intp)]
        if self.rejects and seen_on(rows.image, above, rows.second) < FEWEST_CLUSTERS:
            return None
        numbers = [[None if d is None else self.measure(d) for d in each] for each in defenses]
        return deleted_interval(numbers, scale="logit", level=level)


def _without_groups(answers: Answers) -> Defenses:
    rows = rows_of((answers,), (clean_entropy, entropy))
    return [] if rows is None else _deleted(rows)


def _deleted(rows: Rows) -> Defenses:
    """Return the defence on all rows and without each group of images, of each view."""
    # Ranked once, for no group needs sorting then.
    (clean, moved), size = rows.columns, rows.image.size
    ranks = dense_ranks(np.concatenate([clean, moved])).reshape(2, size)

    def defended(kept: Bools) -> ThresholdDefense | None:
        if not kept.any():
            return None
        return defense_of_ranks(clean[kept], moved[kept], ranks.compress(kept, axis=1).ravel())

    conditions = sides(rows.second, size)
    return [[defended(kept & side) for side in conditions] for kept in deletions(rows.image)]
