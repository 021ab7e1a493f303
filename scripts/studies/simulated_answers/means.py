"""Rates, means and ratios of means."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.special import ndtr

from simulated_answers.design import Data, Floats, Kind, Outcome
from vlm_confidence_tasks.metrics import mean_interval, rate_interval


def _rate(rate: float, data: Data, rng: np.random.Generator) -> Outcome:
    hits = data.by_document(data.events(rng, rate))
    counts = np.full(hits.size, float(data.cell.variants))
    return rate_interval(hits, counts, data.image_of), rate


def _rate_difference(rate: float, data: Data, rng: np.random.Generator) -> Outcome:
    both = data.events(rng, rate)
    own = rng.random(both.size) < 0.3
    other = np.where(own, data.events(rng, rate), both)
    hits = np.concatenate([data.by_document(both), data.by_document(other)])
    found = rate_interval(
        hits,
        np.full(hits.size, float(data.cell.variants)),
        np.tile(data.image_of, 2),
        paired=np.repeat([False, True], hits.size // 2),
    )
    return found, 0.0


def _family_rates(data: Data, rng: np.random.Generator) -> Outcome:
    """Three families' rates, of events that go together."""
    rates = (0.02, 0.1, 0.4)
    hits = np.column_stack([data.by_document(data.events(rng, rate)) for rate in rates])
    counts = np.full(hits.shape, float(data.cell.variants))
    return rate_interval(hits, counts, data.image_of), float(np.mean(rates))


def _f1(rate: float, data: Data, rng: np.random.Generator) -> Outcome:
    """F1 of answers of which a share is right, of positive documents as of negative ones."""
    wrong = data.events(rng, 1.0 - rate)
    positive = np.arange(wrong.size) // data.cell.variants % 2 == 0
    hits = 2.0 * data.by_document(positive * (1.0 - wrong))
    return rate_interval(hits, hits + data.by_document(wrong), data.image_of), rate


def skewed(scores: Floats) -> Floats:
    """Turn normal scores into exponential numbers of mean 1."""
    return -np.log(ndtr(-scores))


def same(scores: Floats) -> Floats:
    """Return the scores."""
    return scores


def _mean(shape: Callable[[Floats], Floats], truth: float, data: Data, rng: Any) -> Outcome:
    values = data.by_document(shape(data.scores(rng)))
    return mean_interval(values, np.full(values.size, data.cell.variants), data.image_of), truth


def _mean_difference(shape: Callable[[Floats], Floats], data: Data, rng: Any) -> Outcome:
    common = data.scores(rng)
    runs = [shape(np.sqrt(0.7) * common + np.sqrt(0.3) * data.scores(rng)) for _ in range(2)]
    values = np.concatenate([data.by_document(run) for run in runs])
    found = mean_interval(
        values,
        np.full(values.size, data.cell.variants),
        np.tile(data.image_of, 2),
        paired=np.repeat([False, True], values.size // 2),
    )
    return found, 0.0


def _ratio(data: Data, rng: np.random.Generator) -> Outcome:
    common = data.scores(rng)
    above, below = (
        data.by_document(skewed(np.sqrt(0.5) * common + np.sqrt(0.5) * data.scores(rng)))
        for _ in range(2)
    )
    return mean_interval(0.3 * above, below, data.image_of), 0.3


KINDS: dict[str, Kind] = {}
for _r in (0.0, 0.02, 0.5, 0.98, 1.0):
    KINDS[f"rate {_r:g}"] = Kind(
        f"Rate of {_r:g}", "`accuracy`, `ifr`, `iv` and other rates", partial(_rate, _r)
    )
for _r in (0.02, 0.5):
    KINDS[f"rate difference {_r:g}"] = Kind(
        f"Difference of two rates of {_r:g}", "`compare`", partial(_rate_difference, _r)
    )
KINDS |= {
    "rates of families": Kind(
        "Mean of rates of 0.02, 0.1 and 0.4", "`ifr_macro`, `iv_macro`", _family_rates
    ),
    "f1 0.9": Kind("F1 of 0.9", "`f1`, `precision`, `recall`", partial(_f1, 0.9)),
    "mean, normal": Kind("Mean, normal", "`entropy_delta`, `drift`", partial(_mean, same, 0.0)),
    "mean, exponential": Kind("Mean, exponential", "`entropy`, `nll`", partial(_mean, skewed, 1.0)),
    "mean difference, normal": Kind(
        "Difference of two means, normal", "`compare`", partial(_mean_difference, same)
    ),
    "mean difference, exponential": Kind(
        "Difference of two means, exponential", "`compare`", partial(_mean_difference, skewed)
    ),
    "ratio": Kind("Ratio of two exponential means", "`drift_ratio`", _ratio),
}
