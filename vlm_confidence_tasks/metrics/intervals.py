"""From the values that a metric extracts to its 95% interval over images.

With `Columns.paired` the interval is that of the difference between two runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlm_confidence_tasks.metrics.functional.bootstrap import (
    Interval,
    bootstrap_ece_interval,
    bootstrap_interval,
    bootstrap_mean_interval,
    bootstrap_sums_interval,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.functional.classification import Confusion
from vlm_confidence_tasks.metrics.functional.defense import ThresholdDefense, threshold_defense
from vlm_confidence_tasks.metrics.functional.drift import cohens_d, drift_ratio
from vlm_confidence_tasks.metrics.reducers import Values, column, joined


@dataclass(frozen=True)
class Columns:
    """The values that a metric extracts from the samples that it applies to.

    Attributes:
        values: What `Metric.extract` returned for each.
        clusters: The image of each.
        paired: Whether each is of the second of two runs; None for a single run.
    """

    values: Values
    clusters: Sequence[str]
    paired: Sequence[bool] | None = None

    def options(self, draws: int) -> dict[str, Any]:
        """Return the bootstrap's arguments for a row a sample."""
        return {"clusters": self.clusters, "paired": self.paired, "draws": draws}

    def repeated(self, key: str, draws: int) -> dict[str, Any]:
        """Return the bootstrap's arguments for a row a number of the lists under a key."""
        owner = np.repeat(np.arange(len(self.values)), [len(value[key]) for value in self.values])
        paired = None if self.paired is None else np.asarray(self.paired)[owner]
        return {"clusters": np.asarray(self.clusters)[owner], "paired": paired, "draws": draws}


def of_mean(columns: Columns, draws: int) -> Interval | None:
    """Bootstrap a mean over instances."""
    score, n = (column(key, columns.values) for key in ("score", "n"))
    return bootstrap_mean_interval(score, weights=n, **columns.options(draws))


def of_confusion(
    measure: Callable[[Confusion], float | None], columns: Columns, draws: int
) -> Interval | None:
    """Bootstrap a function of true positives, false positives and false negatives."""
    counts = np.column_stack([column(key, columns.values) for key in ("tp", "fp", "fn")])
    return bootstrap_sums_interval(
        lambda sums: measure(Confusion(*sums.tolist())), counts, **columns.options(draws)
    )


def of_ece(columns: Columns, draws: int) -> Interval | None:
    """Bootstrap the calibration error of equal-width bins, which do not move with the draw."""
    confidence, correct = (joined(key, columns.values) for key in ("confidence", "correct"))
    return bootstrap_ece_interval(confidence, correct, **columns.repeated("confidence", draws))


def of_calibration(
    measure: Callable[[Floats, Floats], float | None], columns: Columns, draws: int
) -> Interval | None:
    """Bootstrap any function of confidence and correctness."""
    confidence, correct = (joined(key, columns.values) for key in ("confidence", "correct"))
    return bootstrap_interval(
        lambda rows: measure(confidence[rows], correct[rows]),
        **columns.repeated("confidence", draws),
    )


def of_drift_ratio(columns: Columns, draws: int) -> Interval | None:
    """Bootstrap the drift over the control drift."""
    moved, n, control = (column(k, columns.values) for k in ("moved", "instances", "control"))
    return bootstrap_interval(
        lambda rows: drift_ratio(moved[rows], n[rows], control[rows]), **columns.options(draws)
    )


def of_drift_effect_size(columns: Columns, draws: int) -> Interval | None:
    """Bootstrap Cohen's d of the drift against the control drift."""
    moved, control = (column(key, columns.values) for key in ("moved", "control"))
    return bootstrap_interval(
        lambda rows: cohens_d(moved[rows], control[rows]), **columns.options(draws)
    )


def of_defense(
    measure: Callable[[ThresholdDefense], float], columns: Columns, draws: int
) -> Interval | None:
    """Bootstrap what a threshold does that is set anew on each draw's clean entropies."""
    rows = [
        {
            "entropy": v["clean"] + v["perturbed"],
            "side": [0] * len(v["clean"]) + [1] * len(v["perturbed"]),
        }
        for v in columns.values
    ]
    by_answer = Columns(rows, columns.clusters, columns.paired)
    entropy, side = joined("entropy", rows), joined("side", rows).astype(bool)

    def measured(rows: Ints) -> float | None:
        entropies, perturbed = entropy[rows], side[rows]
        return float(measure(threshold_defense(entropies[~perturbed], entropies[perturbed])))

    return bootstrap_interval(measured, **by_answer.repeated("entropy", draws))


def of_reduction(
    reduce: Callable[[Values], float | None], columns: Columns, draws: int
) -> Interval | None:
    """Bootstrap any metric, by reducing the drawn samples anew."""
    values = columns.values
    return bootstrap_interval(
        lambda rows: reduce([values[row] for row in rows]), **columns.options(draws)
    )
