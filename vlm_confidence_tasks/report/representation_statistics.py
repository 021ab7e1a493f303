"""Statistics of hidden states and spectra that are no metrics of a task.

Entropies layer by layer, whose number is known only when a model has run, and the
correlations that "Same Answer, Different Representations" (arXiv 2602.06652) reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from vlm_confidence_tasks.metrics import BANDS, Answers, jackknife_interval, pearson
from vlm_confidence_tasks.metrics.catalogue.flips import flip
from vlm_confidence_tasks.metrics.catalogue.representations import (
    drift,
    energy_change,
    power_change,
)

Floats = NDArray[np.float64]


def inside_numbers(answers: Answers) -> dict[str, float]:
    """Return entropies by layer and correlations; nothing without representations.

    `layer_entropy_<n>` is the mean over perturbed answers in nats, n = 1 the first layer,
    with `_clean` over clean ones. `pearson_<x>_<y>` is over perturbed answers, with their
    number `_n` and its 95% interval `_low`, `_high` from the jackknife over images, where there
    is one:

    - `pearson_dirichlet_drift`: change in the vision tokens' energy, drift of the context;
    - `pearson_spectral_<band>_flip`: relative change of power in a band, whether the answer
      flipped (0 or 1);
    - `pearson_spectral_<band>_score`: the same, change in p(right label).
    """
    numbers = dict(_layers(answers))
    context = answers.of_channel("context").perturbed
    numbers |= _correlation("pearson_dirichlet_drift", context, energy_change, drift)
    for y, change in (("flip", flip), ("score", score_change)):
        for band in BANDS:
            view = answers.of_band(band).perturbed
            numbers |= _correlation(f"pearson_spectral_{band}_{y}", view, power_change, change)
    return numbers


def score_change(answers: Answers) -> Floats:
    """p(right label) of each variant minus the clean image's."""
    clean = answers.counterpart
    return answers.label_prob(answers.gold) - clean.label_prob(clean.gold)


def _layers(answers: Answers) -> Iterator[tuple[str, float]]:
    for suffix, view in (("", answers.perturbed), ("_clean", answers.clean)):
        # An answer whose position is unknown has none.
        known = view.layer_entropy[~np.isnan(view.layer_entropy).any(axis=1)]
        for n, column in enumerate(known.T if len(known) else (), start=1):
            yield f"layer_entropy_{n}{suffix}", float(column.sum() / column.size)


def _correlation(
    name: str,
    answers: Answers,
    first: Callable[[Answers], Floats],
    second: Callable[[Answers], Floats],
) -> dict[str, float]:
    columns = np.array([first(answers), second(answers)])
    known = ~np.isnan(columns).any(axis=0)
    columns, images = columns[:, known], answers.image[known]
    value = pearson(*columns) if images.size else None
    if value is None:
        return {}
    found = jackknife_interval(lambda kept: pearson(*columns[:, kept]), images, scale="fisher")
    ends = {f"{name}_low": found.low, f"{name}_high": found.high} if found else {}
    return {name: value, **ends, f"{name}_n": float(images.size)}
