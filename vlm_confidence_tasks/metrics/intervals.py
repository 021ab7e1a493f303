"""From the values that a metric extracts to its 95% interval over images.

With `Columns.paired` the interval is that of the difference between two runs. Which method
serves which kind of number: `metrics.inference`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vlm_confidence_tasks.metrics.functional.checks import Bools, Ints
from vlm_confidence_tasks.metrics.functional.correlation import spearman
from vlm_confidence_tasks.metrics.functional.defense import ThresholdDefense, threshold_defense
from vlm_confidence_tasks.metrics.inference.calibration_error import (
    Kind,
    calibration_error_interval,
)
from vlm_confidence_tasks.metrics.inference.clusters import (
    FEWEST_CLUSTERS,
    LEVEL,
    Interval,
    seen_on,
)
from vlm_confidence_tasks.metrics.inference.jackknife import (
    Scale,
    deleted_interval,
    deletions,
    jackknife_interval,
    ranking_interval,
)
from vlm_confidence_tasks.metrics.inference.means import mean_interval
from vlm_confidence_tasks.metrics.inference.rare_errors import (
    loss_interval,
    overconfidence_interval,
)
from vlm_confidence_tasks.metrics.inference.rates import rate_interval
from vlm_confidence_tasks.metrics.reducers import Values, column, joined


@dataclass(frozen=True, eq=False)
class Columns:
    """The values that a metric extracts from the samples that it applies to.

    Two of them are equal only if they are one, so that what takes long can be kept for each.

    Attributes:
        values: What `Metric.extract` returned for each.
        clusters: The image of each, as a name or a number.
        paired: Whether each is of the second of two runs; None for a single run.
    """

    values: Values
    clusters: Sequence[Any]
    paired: Sequence[bool] | None = None

    @cached_property
    def sides(self) -> tuple[Values, ...]:
        """The values of each run."""
        if self.paired is None:
            return (self.values,)
        both = list(zip(self.values, self.paired, strict=True))
        return tuple([v for v, second in both if second == side] for side in (False, True))

    def difference(self, reduce: Callable[[Values], float | None]) -> float | None:
        """Reduce the values, or those of both runs, and subtract the first's number."""
        found = [reduce(values) for values in self.sides]
        numbers = [number for number in found if number is not None]
        if len(numbers) < len(found):
            return None
        return numbers[-1] - (numbers[0] if len(numbers) > 1 else 0.0)

    def owners(self, key: str) -> Ints:
        """Return which value each number is of, of the lists under a key, joined."""
        return np.repeat(np.arange(len(self.values)), [len(value[key]) for value in self.values])

    @cached_property
    def defenses(self) -> list[list[ThresholdDefense | None]]:
        """The threshold defence on all entropies and without each group of images."""
        entropy = np.concatenate([joined(key, self.values) for key in ("clean", "perturbed")])
        both = [self.owners(key) for key in ("clean", "perturbed")]
        perturbed = np.repeat([False, True], [len(side) for side in both])
        # Sorted once, for every group's sorting is then a pass.
        order = np.argsort(entropy, kind="stable")
        entropy, perturbed, owners = entropy[order], perturbed[order], np.concatenate(both)[order]

        def defended(rows: Ints) -> ThresholdDefense | None:
            side = perturbed[rows]
            clean, moved = entropy[rows[~side]], entropy[rows[side]]
            return threshold_defense(clean, moved) if clean.size and moved.size else None

        kept = deletions(**self.of(owners))
        return [[defended(rows) for rows in conditions] for conditions in kept]

    def of(self, owners: Ints) -> dict[str, Any]:
        """Return clusters and sides of such numbers, as intervals take them."""
        paired = None if self.paired is None else np.asarray(self.paired)[owners]
        return {"clusters": np.asarray(self.clusters)[owners], "paired": paired}


# How the 95% intervals are made, in words.
METHODS = (
    "rates by Korn and Graubard, means by a studentized bootstrap, calibration errors by "
    "inverting a test, all others by the jackknife"
)
NO_BOUNDS = (-np.inf, np.inf)
SHARE = (0.0, 1.0)
POSITIVE = (0.0, np.inf)


def of_mean(within: tuple[float, float], columns: Columns, level: float = LEVEL) -> Interval | None:
    """Interval of a mean over instances, by the studentized bootstrap."""
    score, n = (column(key, columns.values) for key in ("score", "n"))
    if columns.paired is not None:
        within = (within[0] - within[1], within[1] - within[0])
    return mean_interval(
        score * n,
        n,
        columns.clusters,
        paired=columns.paired,
        within=within,
        level=level,
    )


def of_loss(columns: Columns) -> Interval | None:
    """Interval of a mean of losses in [0, 1], of which rare errors may be most."""
    score, n = (column(key, columns.values) for key in ("score", "n"))
    return loss_interval(score * n, n, columns.clusters, paired=columns.paired)


def of_overconfidence(columns: Columns) -> Interval | None:
    """Interval of mean confidence less accuracy."""
    sure, right, n = (column(key, columns.values) for key in ("sure", "right", "n"))
    return overconfidence_interval(sure, right, n, columns.clusters, paired=columns.paired)


def of_ratio(total: str, count: str, columns: Columns, level: float = LEVEL) -> Interval | None:
    """Interval of a ratio of sums of products with `instances`, likewise."""
    n = column("instances", columns.values)
    above, below = (column(key, columns.values) * n for key in (total, count))
    return mean_interval(above, below, columns.clusters, paired=columns.paired, level=level)


def of_rate(columns: Columns, level: float = LEVEL) -> Interval | None:
    """Interval of a share of instances, by Korn and Graubard."""
    score, n = (column(key, columns.values) for key in ("score", "n"))
    return rate_interval(score * n, n, columns.clusters, paired=columns.paired, level=level)


def of_rate_difference(columns: Columns) -> Interval | None:
    """Interval of one share less another of the same instances, by MOVER.

    In a comparison of two runs, of the mean of the samples' differences.
    """
    if columns.paired is not None:
        return of_mean((-1.0, 1.0), columns)
    n = column("n", columns.values)
    counts = [column(key, columns.values) for key in ("control", "hits")]
    clusters = np.tile(np.asarray(columns.clusters), 2)
    second = np.repeat([False, True], len(n))
    return rate_interval(np.concatenate(counts), np.tile(n, 2), clusters, paired=second)


def of_family_rates(columns: Columns) -> Interval | None:
    """Interval of the mean over families of a share, likewise."""
    families = sorted({family for value in columns.values for family in value["count"]})
    hits, counts = (
        np.array([[value[key].get(family, 0) for family in families] for value in columns.values])
        for key in ("sum", "count")
    )
    shown = counts.any(axis=0)
    return rate_interval(hits[:, shown], counts[:, shown], columns.clusters, paired=columns.paired)


def of_counts(weights: tuple[int, int, int, int], columns: Columns) -> Interval | None:
    """Interval of a ratio of counts that is a share: precision, recall, F1.

    Args:
        weights: Of true positives above the line, and of true positives, false positives and
            false negatives under it.
        columns: With the keys "tp", "fp" and "fn".
    """
    tp, fp, fn = (column(key, columns.values) for key in ("tp", "fp", "fn"))
    above, *under = weights
    counts = under[0] * tp + under[1] * fp + under[2] * fn
    return rate_interval(above * tp, counts, columns.clusters, paired=columns.paired)


def of_calibration_error(
    kind: Kind,
    reduce: Callable[[Values], float | None],
    columns: Columns,
    level: float = LEVEL,
) -> Interval | None:
    """Interval of a calibration error, by inverting a test."""
    estimate = columns.difference(reduce)
    if estimate is None:
        return None
    confidence, correct = (joined(key, columns.values) for key in ("confidence", "correct"))
    return calibration_error_interval(
        confidence,
        correct,
        estimate=estimate,
        kind=kind,
        level=level,
        **columns.of(columns.owners("correct")),
    )


def of_answers(measure: Callable[[Ints, Bools], float | None], columns: Columns) -> Interval | None:
    """Interval of how confidence ranks right and wrong answers, by the jackknife."""
    confidence, correct = (joined(key, columns.values) for key in ("confidence", "correct"))
    of = columns.of(columns.owners("correct"))
    return ranking_interval(measure, confidence, correct, **of)


def of_alignment(keys: tuple[str, str], columns: Columns) -> Interval | None:
    """Interval of the rank correlation of two columns, by the jackknife."""
    first, second = (joined(key, columns.values) for key in keys)
    return jackknife_interval(
        lambda rows: spearman(first[rows], second[rows]),
        scale="fisher",
        **columns.of(columns.owners(keys[0])),
    )


def of_defense(
    measure: Callable[[ThresholdDefense], float], columns: Columns, level: float = LEVEL
) -> Interval | None:
    """Interval of what a threshold does that is set anew without each group of images."""
    numbers = [[None if d is None else measure(d) for d in each] for each in columns.defenses]
    return deleted_interval(numbers, scale="logit", level=level)


def of_threshold(measure: Callable[[ThresholdDefense], float], columns: Columns) -> Interval | None:
    """Interval of the share above the 95th percentile of clean entropies, likewise.

    None where under 5 images have a clean entropy above it: few of them decide where it lies.
    """
    defended = [] if columns.paired is not None and not all(columns.sides) else columns.defenses[0]
    if not defended or None in defended:
        return None
    clean, owners = joined("clean", columns.values), columns.owners("clean")
    of = columns.of(owners)
    second = of["paired"]
    thresholds = np.array([defense.threshold for defense in defended if defense])
    above = clean > (thresholds[0] if second is None else thresholds[second.astype(np.intp)])
    if seen_on(event=above, **of) < FEWEST_CLUSTERS:
        return None
    return of_defense(measure, columns)


def of_reduction(
    reduce: Callable[[Values], float | None],
    columns: Columns,
    scale: Scale = "identity",
) -> Interval | None:
    """Interval of any metric, by the jackknife: the samples are reduced anew."""
    values = columns.values
    return jackknife_interval(
        lambda rows: reduce([values[row] for row in rows]),
        columns.clusters,
        paired=columns.paired,
        scale=scale,
    )
