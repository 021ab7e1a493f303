"""From the values that a metric extracts to one number, in any order of samples.

None: the number is not defined on these samples, or there are none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter

import numpy as np

from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.functional.classification import Confusion
from vlm_confidence_tasks.metrics.functional.correlation import spearman
from vlm_confidence_tasks.metrics.functional.defense import ThresholdDefense, threshold_defense
from vlm_confidence_tasks.metrics.functional.drift import cohens_d, cohens_dz, drift_ratio
from vlm_confidence_tasks.metrics.inference.calibrated import CalibrationTest, calibration_test
from vlm_confidence_tasks.metrics.inference.calibration_error import debiased_calibration_error
from vlm_confidence_tasks.metrics.inference.permutation import sign_flip_p, wilcoxon_p
from vlm_confidence_tasks.metrics.sample import Value

Values = Sequence[Value]


def pooled_mean(values: Values) -> float | None:
    """Mean over all instances; `fsum`, so that the result does not depend on the order."""
    n = sum([value["n"] for value in values])
    return math.fsum([value["n"] * value["score"] for value in values]) / n if n else None


def linearised(values: Values) -> Values:
    """Return scores of equal weight with the mean and the standard error of the pooled mean.

    R + n_i (s_i - R) / (mean of n), of the pooled mean R = sum n_i s_i / sum n_i: R is a ratio
    of two sums over samples, and these are R plus each sample's first-order share in R's error.
    Any formula for the standard error of a plain mean, of independent samples or of clusters,
    gives that of R on these. Equal weights leave the values as they are.

    Source: Cochran 1977, section 2.11.

    >>> [v["score"] for v in linearised([{"score": 1.0, "n": 3}, {"score": 0.0, "n": 1}])]
    [1.125, 0.375]
    """
    pooled = pooled_mean(values)
    if pooled is None or len({value["n"] for value in values}) == 1:
        return values
    size = sum(value["n"] for value in values) / len(values)
    return [
        {**value, "score": pooled + value["n"] / size * (value["score"] - pooled), "n": 1}
        for value in values
    ]


def mean_over_families(values: Values) -> float | None:
    """Mean over families of the mean over each family's instances: families weigh alike."""
    sums, counts = Counter[str](), Counter[str]()
    for value in values:
        sums.update(value["sum"])
        counts.update(value["count"])
    shown = [family for family, count in counts.items() if count]
    return math.fsum(sums[f] / counts[f] for f in shown) / len(shown) if shown else None


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


def from_alignment(keys: tuple[str, str], values: Values) -> float | None:
    """Join the columns under two keys, sort them, and correlate."""
    first, second = (joined(key, values) for key in keys)
    order = np.lexsort((second, first))
    return spearman(first[order], second[order]) if first.size else None


def debiased_error(values: Values) -> float | None:
    """Join confidence and correctness, and compute the ECE less its bias."""
    found = _answers(values)
    return None if found is None else debiased_calibration_error(*found[:2], found[3])


def calibration_floor(values: Values) -> float | None:
    """Join confidence and correctness, and compute the ECE of calibrated answers."""
    found = _answers(values)
    return None if found is None else _tested(*(column.tobytes() for column in found)).floor


def calibration_p(values: Values) -> float | None:
    """Join confidence and correctness, and hold their ECE against that of calibrated ones."""
    found = _answers(values)
    return None if found is None else _tested(*(column.tobytes() for column in found)).p


@lru_cache(maxsize=8)
def _tested(confidence: bytes, correct: bytes, documents: bytes, images: bytes) -> CalibrationTest:
    """Test answers, once for the floor and the p of the same ones."""
    return calibration_test(
        *(np.frombuffer(column) for column in (confidence, correct)),
        *(np.frombuffer(column, dtype=np.intp) for column in (documents, images)),
    )


def _answers(values: Values) -> tuple[Floats, Floats, Ints, Ints] | None:
    """Return confidence, correctness, document and image of all answers, in one order."""
    if not values:
        return None
    ordered = sorted(values, key=itemgetter("image_id", "confidence", "correct"))
    owners = np.repeat(np.arange(len(ordered)), [len(value["correct"]) for value in ordered])
    return (
        joined("confidence", ordered),
        joined("correct", ordered),
        owners,
        _images(ordered)[owners],
    )


def _images(values: Values) -> Ints:
    """Number the images of the values in the order of their names."""
    names = [value["image_id"] for value in values]
    order = {name: n for n, name in enumerate(sorted(set(names)))}
    return np.array([order[name] for name in names], dtype=np.intp)


def sign_flip_of_differences(values: Values) -> float | None:
    """Test the mean of the samples' changes against 0."""
    return sign_flip_p(column("difference", values), _images(values)) if values else None


def wilcoxon_of_differences(values: Values) -> float | None:
    """Test the symmetry of images' mean changes about 0."""
    if not values:
        return None
    return wilcoxon_p(column("difference", values), _images(values), column("n", values))


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


def drift_paired_effect_size(values: Values) -> float | None:
    """Compare each sample's drift with its own control drift."""
    if not values:
        return None
    moved, control = column("moved", values), column("control", values)
    order = np.lexsort((control, moved))
    return cohens_dz(moved[order], control[order])


def column(key: str, values: Values) -> Floats:
    """Return the number that each sample has under a key."""
    return np.array([value[key] for value in values], dtype=np.float64)


def joined(key: str, values: Values) -> Floats:
    """Join the lists that the samples have under a key."""
    return np.array(list(chain.from_iterable(map(itemgetter(key), values))), dtype=np.float64)
