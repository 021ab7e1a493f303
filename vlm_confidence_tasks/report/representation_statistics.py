"""Statistics of hidden states and spectra that are no metrics of a task.

Entropies layer by layer, whose number is known only when a model has run, and the
correlations that "Same Answer, Different Representations" (arXiv 2602.06652) reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from vlm_confidence_tasks.metrics import (
    BANDS,
    Sample,
    energy_change,
    jackknife_interval,
    pearson,
    power_change,
    score_change,
)
from vlm_confidence_tasks.types import Readout

# From a sample and one of its perturbed answers to a number, None if there is none.
Change = Callable[[Sample, Readout], float | None]


def inside_numbers(samples: Sequence[Sample]) -> dict[str, float]:
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
    numbers = dict(_layers(samples))
    for name, x, y in _PAIRS:
        numbers |= _correlation(f"pearson_{name}", samples, x, y)
    return numbers


def _layers(samples: Sequence[Sample]) -> Iterator[tuple[str, float]]:
    perturbed = [readout for sample in samples for readout in sample.perturbed]
    clean = [readout for sample in samples for readout in sample.paired_clean]
    for suffix, readouts in (("", perturbed), ("_clean", clean)):
        lenses = [r.inside.layer_entropy for r in readouts if r.inside is not None]
        # An answer whose position is unknown has none.
        for n, column in enumerate(zip(*filter(None, lenses), strict=True), start=1):
            yield f"layer_entropy_{n}{suffix}", sum(column) / len(column)


def _correlation(name: str, samples: Sequence[Sample], x: Change, y: Change) -> dict[str, float]:
    rows = [
        (one, other, sample.image_id)
        for sample in samples
        for readout in sample.perturbed
        if (one := x(sample, readout)) is not None and (other := y(sample, readout)) is not None
    ]
    if not rows:
        return {}
    columns, images = np.array([row[:2] for row in rows]).T, [row[2] for row in rows]
    value = pearson(*columns)
    if value is None:
        return {}
    found = jackknife_interval(lambda kept: pearson(*columns[:, kept]), images, scale="fisher")
    ends = {f"{name}_low": found.low, f"{name}_high": found.high} if found else {}
    return {name: value, **ends, f"{name}_n": float(len(rows))}


def _context_drift(sample: Sample, readout: Readout) -> float | None:
    return None if readout.inside is None else readout.inside.drift.get("context")


def _flip(sample: Sample, readout: Readout) -> float | None:
    return float(readout.answer != sample.clean.answer) if sample.labels else None


_PAIRS: tuple[tuple[str, Change, Change], ...] = (
    ("dirichlet_drift", energy_change, _context_drift),
    *((f"spectral_{band}_flip", partial(power_change, band), _flip) for band in BANDS),
    *((f"spectral_{band}_score", partial(power_change, band), score_change) for band in BANDS),
)
