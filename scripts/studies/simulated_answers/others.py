"""Correlations, thresholds, effect sizes and tests of differences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter

import numpy as np

from simulated_answers.design import STATISTICS, Answers, Data, Floats, Generator, Kind
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
from vlm_confidence_tasks.metrics.catalogue.changes import sign_flip
from vlm_confidence_tasks.metrics.statistics.effect_sizes import ChangeTest, EffectSize

COLUMNS = attrgetter("stated"), attrgetter("confidence")


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


def _test(
    test: Callable[..., float | None], shape: Callable[[Floats], Floats]
) -> tuple[Callable[[Answers], float | None], Callable[..., list[Answers]]]:
    return ChangeTest(test, attrgetter("entropy")).value, partial(scores, shape)


KINDS = {
    "spearman": Kind(
        "Spearman's correlation of 0.483",
        "`verbal_alignment`",
        STATISTICS["verbal_alignment"].interval,
        partial(_two_columns, 0.0),
        6.0 / np.pi * np.arcsin(0.25),
    ),
    "pearson": Kind(
        "Pearson's correlation of 0.5",
        "`drift_table.py`",
        _pearson,
        partial(_two_columns, 0.0),
        0.5,
    ),
    "defense_reject": Kind(
        "Share above the 95th percentile of clean entropies",
        "`defense_reject`, `defense_bypass`",
        STATISTICS["defense_reject"].interval,
        _defended,
        partial(_defense_truth, "reject"),
    ),
    "defense_auroc": Kind(
        "AUROC of entropy",
        "`defense_auroc`",
        STATISTICS["defense_auroc"].interval,
        _defended,
        partial(_defense_truth, "auroc"),
    ),
    "cohens_d": Kind(
        "Cohen's d of 0.5",
        "`drift_d`",
        EffectSize(cohens_d, *COLUMNS).interval,
        partial(_two_columns, 0.5),
        0.5,
        variants=False,
    ),
    "cohens_dz": Kind(
        "Paired d of 0.5",
        "`drift_dz`",
        EffectSize(cohens_dz, *COLUMNS).interval,
        partial(_two_columns, 0.5),
        0.5,
        variants=False,
    ),
    "sign flip, normal": Kind(
        "Sign-flip permutation test, normal differences",
        "`entropy_delta_p`, `compare`",
        *_test(sign_flip, same),
    ),
    "sign flip, skewed": Kind(
        "Sign-flip permutation test, exponential differences",
        "`entropy_delta_p`, `compare`",
        *_test(sign_flip, lambda scores: skewed(scores) - 1.0),
    ),
    "wilcoxon": Kind(
        "Wilcoxon signed-rank test on image means",
        "`entropy_delta_wilcoxon_p`",
        *_test(wilcoxon_p, same),
    ),
}
