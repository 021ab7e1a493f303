"""From the values that a metric extracts to one number, in any order of samples.

None: the number is not defined on these samples, or there are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter

import numpy as np

from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.functional.classification import Confusion
from vlm_confidence_tasks.metrics.functional.correlation import spearman
from vlm_confidence_tasks.metrics.functional.defense import ThresholdDefense, threshold_defense
from vlm_confidence_tasks.metrics.functional.drift import cohens_d, drift_ratio
from vlm_confidence_tasks.metrics.functional.entropy import wilcoxon_p
from vlm_confidence_tasks.metrics.sample import Value

Values = Sequence[Value]


def pooled_mean(values: Values) -> float | None:
    """Mean over all instances; `fsum`, so that the result does not depend on the order."""
    n = sum(value["n"] for value in values)
    return math.fsum(value["n"] * value["score"] for value in values) / n if n else None


def from_confusion(measure: Callable[[Confusion], float | None], values: Values) -> float | None:
    """Add the counts up and measure."""
    return measure(Confusion(*(sum(value[key] for value in values) for key in ("tp", "fp", "fn"))))


def from_calibration(
    measure: Callable[[Floats, Floats], float | None], values: Values
) -> float | None:
    """Join the columns, sort them, so that the order of samples is lost, and measure."""
    confidence, correct = joined("confidence", values), joined("correct", values)
    if not confidence.size:
        return None
    order = np.lexsort((correct, confidence))
    return measure(confidence[order], correct[order])


def from_alignment(values: Values) -> float | None:
    """Join the columns, sort them, and correlate."""
    stated, token = joined("verbal", values), joined("token", values)
    order = np.lexsort((token, stated))
    return spearman(stated[order], token[order]) if stated.size else None


def from_differences(values: Values) -> float | None:
    """Test the samples' changes against 0."""
    return wilcoxon_p([value["difference"] for value in values])


def from_defense(measure: Callable[[ThresholdDefense], float], values: Values) -> float | None:
    """Set the threshold on all clean entropies, and measure."""
    if not values:
        return None
    return measure(threshold_defense(joined("clean", values), joined("perturbed", values)))


def drift_over_control(values: Values) -> float | None:
    """Divide the drift of all instances by the control drift of all samples."""
    keys = ("moved", "instances", "control")
    return drift_ratio(*(column(key, values) for key in keys)) if values else None


def drift_effect_size(values: Values) -> float | None:
    """Compare the samples' drift with their control drift."""
    if not values:
        return None
    return cohens_d(np.sort(column("moved", values)), np.sort(column("control", values)))


def column(key: str, values: Values) -> Floats:
    """Return the number that each sample has under a key."""
    return np.array([value[key] for value in values], dtype=np.float64)


def joined(key: str, values: Values) -> Floats:
    """Join the lists that the samples have under a key."""
    return np.fromiter(chain.from_iterable(map(itemgetter(key), values)), dtype=np.float64)
