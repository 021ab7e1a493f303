"""Rates, means and ratios of means."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter

import numpy as np
from scipy.special import ndtr

from simulated_answers.design import (
    Answers,
    Data,
    Floats,
    Generator,
    Kind,
    compared,
    of_metric,
    table,
)
from vlm_confidence_tasks.metrics import Mean, Rate
from vlm_confidence_tasks.metrics.statistics.means import MeanOverFamilies
from vlm_confidence_tasks.metrics.statistics.ratios import SumRatio

RATE, MEAN = Rate(attrgetter("correct")), Mean(attrgetter("entropy"))
RATIO = SumRatio(attrgetter("logprob"), attrgetter("entropy"))
FAMILY_RATES = (0.02, 0.1, 0.4)


def _rate(rate: float, data: Data, rng: Generator) -> list[Answers]:
    return [data.table(correct=data.events(rng, rate))]


def _two_rates(rate: float, data: Data, rng: Generator) -> list[Answers]:
    both = data.events(rng, rate)
    own = rng.random(both.size) < 0.3
    other = np.where(own, data.events(rng, rate), both)
    return [data.table(correct=events) for events in (both, other)]


def _family_rates(data: Data, rng: Generator) -> list[Answers]:
    """Draw three families' events that go together."""
    families = len(FAMILY_RATES)
    events = np.concatenate([data.events(rng, rate) for rate in FAMILY_RATES])
    family = np.repeat(np.arange(families), data.image.size)
    rows = (np.tile(data.image, families), np.tile(data.document, families))
    return [table(*rows, correct=events, family=family)]


def _f1(rate: float, data: Data, rng: Generator) -> list[Answers]:
    """Draw answers of which a share is right, of positive documents as of negative ones."""
    wrong = data.events(rng, 1.0 - rate)
    positive = data.document % 2 == 0
    return [data.table(gold_positive=positive * 1.0, said_positive=(positive != wrong) * 1.0)]


def skewed(scores: Floats) -> Floats:
    """Turn normal scores into exponential numbers of mean 1."""
    return -np.log(ndtr(-scores))


def same(scores: Floats) -> Floats:
    """Return the scores."""
    return scores


def scores(shape: Callable[[Floats], Floats], data: Data, rng: Generator) -> list[Answers]:
    """Draw an entropy of each answer."""
    return [data.table(entropy=shape(data.scores(rng)))]


def alike(share: float, data: Data, rng: Generator) -> tuple[Floats, Floats]:
    """Draw two columns of scores that correlate."""
    common, own = np.sqrt(share) * data.scores(rng), np.sqrt(1.0 - share)
    return common + own * data.scores(rng), common + own * data.scores(rng)


def _two_scores(shape: Callable[[Floats], Floats], data: Data, rng: Generator) -> list[Answers]:
    return [data.table(entropy=shape(column)) for column in alike(0.7, data, rng)]


def _ratio(data: Data, rng: Generator) -> list[Answers]:
    above, below = (skewed(column) for column in alike(0.5, data, rng))
    return [data.table(logprob=0.3 * above, entropy=below)]


_RATES = "`accuracy`, `ifr`, `iv` and other rates"
KINDS = {
    f"rate {r:g}": Kind(f"Rate of {r:g}", _RATES, RATE.interval, partial(_rate, r), r)
    for r in (0.0, 0.02, 0.5, 0.98, 1.0)
}
KINDS |= {
    f"rate difference {r:g}": compared(f"rates of {r:g}", RATE, partial(_two_rates, r))
    for r in (0.02, 0.5)
}
KINDS |= {
    "rates of families": Kind(
        "Mean of rates of 0.02, 0.1 and 0.4",
        "`ifr_macro`, `iv_macro`",
        MeanOverFamilies(attrgetter("correct")).interval,
        _family_rates,
        float(np.mean(FAMILY_RATES)),
    ),
    "f1 0.9": of_metric("f1", partial(_f1, 0.9), 0.9, "F1 of 0.9", "`f1`, `precision`, `recall`"),
    "mean, normal": Kind(
        "Mean, normal", "`entropy_delta`, `drift`", MEAN.interval, partial(scores, same), 0.0
    ),
    "mean, exponential": Kind(
        "Mean, exponential", "`entropy`, `nll`", MEAN.interval, partial(scores, skewed), 1.0
    ),
    "mean difference, normal": compared("means, normal", MEAN, partial(_two_scores, same)),
    "mean difference, exponential": compared(
        "means, exponential", MEAN, partial(_two_scores, skewed)
    ),
    "ratio": Kind("Ratio of two exponential means", "`drift_ratio`", RATIO.interval, _ratio, 0.3),
}
