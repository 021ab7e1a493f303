"""Correlations, thresholds, effect sizes and tests of differences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from simulated_answers.design import TRUTHS, Data, Floats, Ints, Kind, Outcome, truth
from simulated_answers.means import same, skewed
from vlm_confidence_tasks.metrics import (
    cohens_d,
    cohens_dz,
    jackknife_interval,
    pearson,
    sign_flip_p,
    spearman,
    threshold_defense,
    wilcoxon_p,
)
from vlm_confidence_tasks.metrics.functional.defense import ThresholdDefense
from vlm_confidence_tasks.metrics.inference.clusters import FEWEST_CLUSTERS, seen_on


def _two_columns(data: Data, rng: np.random.Generator) -> tuple[Floats, Floats]:
    common = data.scores(rng)
    return tuple(np.sqrt(0.5) * common + np.sqrt(0.5) * data.scores(rng) for _ in range(2))


def _correlation(measure: Any, truth: float, data: Data, rng: np.random.Generator) -> Outcome:
    one, other = _two_columns(data, rng)
    found = jackknife_interval(
        lambda rows: measure(one[rows], other[rows]), data.image, scale="fisher"
    )
    return found, truth


def _entropies(data: Data, rng: np.random.Generator) -> tuple[Floats, Floats]:
    clean, moved = (skewed(column) for column in _two_columns(data, rng))
    # A document has one clean answer, which counts once a variant.
    return clean[data.document * data.cell.variants], 1.3 * moved


def _defense(field: str, data: Data, rng: np.random.Generator) -> Outcome:
    both = _entropies(data, rng)
    # Sorted once, for every group's sorting is then a pass.
    orders = [np.argsort(column) for column in both]
    entropy = np.concatenate([column[order] for column, order in zip(both, orders, strict=True)])
    image, rows = np.concatenate([data.image[order] for order in orders]), data.image.size

    def defended(kept: Ints) -> ThresholdDefense:
        first = np.searchsorted(kept, rows)
        return threshold_defense(entropy[kept[:first]], entropy[kept[first:]])

    expected = truth(f"defense {field}")
    above = entropy[:rows] > defended(np.arange(2 * rows)).threshold
    if field == "reject" and seen_on(image[:rows], above) < FEWEST_CLUSTERS:
        return None, expected
    found = jackknife_interval(lambda kept: getattr(defended(kept), field), image, scale="logit")
    return found, expected


def _effect(measure: Any, truth: float, data: Data, rng: np.random.Generator) -> Outcome:
    one, other = _two_columns(data, rng)
    found = jackknife_interval(lambda rows: measure(one[rows] + 0.5, other[rows]), data.image)
    return found, truth


def _permutation(shape: Callable[[Floats], Floats], data: Data, rng: Any) -> Outcome:
    return sign_flip_p(shape(data.scores(rng)), data.image)


def _signed_rank(data: Data, rng: np.random.Generator) -> Outcome:
    values = data.scores(rng)
    return wilcoxon_p(values, data.image)


TRUTHS |= {
    "defense reject": lambda data, rng: threshold_defense(*_entropies(data, rng)).reject,
    "defense auroc": lambda data, rng: threshold_defense(*_entropies(data, rng)).auroc,
}

KINDS = {
    "spearman": Kind(
        "Spearman's correlation of 0.483",
        "`verbal_alignment`",
        partial(_correlation, spearman, 6.0 / np.pi * np.arcsin(0.25)),
    ),
    "pearson": Kind(
        "Pearson's correlation of 0.5", "`drift_table.py`", partial(_correlation, pearson, 0.5)
    ),
    "defense_reject": Kind(
        "Share above the 95th percentile of clean entropies",
        "`defense_reject`, `defense_bypass`",
        partial(_defense, "reject"),
    ),
    "defense_auroc": Kind("AUROC of entropy", "`defense_auroc`", partial(_defense, "auroc")),
    "cohens_d": Kind(
        "Cohen's d of 0.5", "`drift_d`", partial(_effect, cohens_d, 0.5), variants=False
    ),
    "cohens_dz": Kind(
        "Paired d of 0.5", "`drift_dz`", partial(_effect, cohens_dz, 0.5), variants=False
    ),
    "sign flip, normal": Kind(
        "Sign-flip permutation test, normal differences",
        "`entropy_delta_p`, `compare`",
        partial(_permutation, same),
    ),
    "sign flip, skewed": Kind(
        "Sign-flip permutation test, exponential differences",
        "`entropy_delta_p`, `compare`",
        partial(_permutation, lambda scores: skewed(scores) - 1.0),
    ),
    "wilcoxon": Kind(
        "Wilcoxon signed-rank test on image means", "`entropy_delta_wilcoxon_p`", _signed_rank
    ),
}
