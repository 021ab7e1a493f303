"""Correlations, thresholds, effect sizes and tests of differences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter

import numpy as np

from simulated_answers.design import Answers, Data, Floats, Generator, Kind, of_metric
from simulated_answers.means import alike, same, scores, skewed
from vlm_confidence_tasks.metrics import (
    Interval,
    cohens_d,
    cohens_dz,
    jackknife_interval,
    pearson,
    threshold_defense,
    wilcoxon_p,
)
from vlm_confidence_tasks.metrics.catalogue.changes import mean_change, sign_flip
from vlm_confidence_tasks.metrics.statistics.effect_sizes import ChangeTest, EffectSize


def _d(measure: Callable[[Floats, Floats], float | None]) -> Callable[..., Interval | None]:
    return EffectSize(measure, attrgetter("stated"), attrgetter("confidence")).interval


def _two_columns(shift: float, data: Data, rng: Generator) -> list[Answers]:
    one, other = alike(0.5, data, rng)
    return [data.table(stated=one + shift, confidence=other)]


def _pearson(answers: Answers) -> Interval | None:
    return jackknife_interval(
        lambda rows: pearson(answers.stated[rows], answers.confidence[rows]),
        answers.image,
        scale="fisher",
    )


def _entropies(data: Data, rng: Generator) -> tuple[Floats, Floats]:
    """Draw a clean entropy of each document, and the perturbed ones."""
    clean, moved = (skewed(column) for column in alike(0.5, data, rng))
    return clean[:: data.cell.variants], 1.3 * moved


def _defended(data: Data, rng: Generator) -> list[Answers]:
    clean, moved = _entropies(data, rng)
    return [data.pairs({"entropy": clean}, {"entropy": moved}).perturbed]


def _defense_truth(field: str, data: Data, rng: Generator) -> float:
    return getattr(threshold_defense(*_entropies(data, rng)), field)


_TWO, _APART = partial(_two_columns, 0.0), partial(_two_columns, 0.5)
_SPEARMAN = 6.0 / np.pi * np.arcsin(0.25)
_MEAN, _FLIP, _RANK = (
    ChangeTest(test, attrgetter("entropy")).value for test in (mean_change, sign_flip, wilcoxon_p)
)
_CHANGE = "`entropy_delta_p`, `compare`"
KINDS = {
    "spearman": of_metric("verbal_alignment", _TWO, _SPEARMAN, "Spearman's correlation of 0.483"),
    "pearson": Kind("Pearson's correlation of 0.5", "`drift_table.py`", _pearson, _TWO, 0.5),
    "defense_reject": of_metric(
        "defense_reject",
        _defended,
        partial(_defense_truth, "reject"),
        "Share above the 95th percentile of clean entropies",
        "`defense_reject`, `defense_bypass`",
    ),
    "defense_auroc": of_metric(
        "defense_auroc", _defended, partial(_defense_truth, "auroc"), "AUROC of entropy"
    ),
    "cohens_d": Kind("Cohen's d of 0.5", "`drift_d`", _d(cohens_d), _APART, 0.5, variants=False),
    "cohens_dz": Kind("Paired d of 0.5", "`drift_dz`", _d(cohens_dz), _APART, 0.5, variants=False),
    "mean p, normal": Kind(
        "Test of the mean, normal differences", _CHANGE, _MEAN, partial(scores, same)
    ),
    "mean p, skewed": Kind(
        "Test of the mean, exponential differences",
        _CHANGE,
        _MEAN,
        partial(scores, lambda scores: skewed(scores) - 1.0),
    ),
    "sign flip": Kind(
        "Sign-flip permutation test, normal differences",
        "`entropy_delta_signflip_p`",
        _FLIP,
        partial(scores, same),
    ),
    "wilcoxon": Kind(
        "Wilcoxon signed-rank test on image means",
        "`entropy_delta_wilcoxon_p`",
        _RANK,
        partial(scores, same),
    ),
}
