"""Numbers of scored options, by the rules of `generated_answers`.

s(option) is ln p of the option's text after the prompt, in nats; the answer is the option
with the greatest s. A Readout whose options were not scored gives no number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from heapq import nlargest

from vlm_confidence_tasks.metrics.sample import Sample
from vlm_confidence_tasks.types import Readout

Readouts = Sequence[Readout]


def correct(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each likeliest option is the right one."""
    if sample.gold is None:
        return []
    return [float(r.loglik_answer == sample.gold) for r in readouts if r.option_logprob]


def mean_correct(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each option that is likeliest by the mean over its tokens is the right one."""
    if sample.gold is None:
        return []
    scored = [r for r in readouts if r.option_logprob_mean]
    return [float(r.loglik_mean_answer == sample.gold) for r in scored]


def flip(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each likeliest option is another than on the clean image."""
    base = sample.clean.loglik_answer
    if base is None:
        return []
    return [float(r.loglik_answer != base) for r in readouts if r.option_logprob]


def any_flip(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether any likeliest option is another than on the clean image."""
    flips = flip(sample, readouts)
    return [max(flips)] if flips else []


def margin(sample: Sample, readouts: Readouts) -> list[float]:
    """s(best option) - s(second) of each answer, in nats.

    Each answer's own best: the clean answer as base would select the clean margin upwards.
    """
    return [_margin(r.option_logprob) for r in readouts if r.option_logprob]


def _margin(scores: Mapping[str, float]) -> float:
    best, second = nlargest(2, scores.values())
    return best - second


def confidence(sample: Sample, readouts: Readouts) -> list[float]:
    """Share of the likeliest option in the likelihood of all."""
    return [_share(r.option_logprob) for r in readouts if r.option_logprob]


def calibrated(sample: Sample, readouts: Readouts) -> list[tuple[float, bool]]:
    """That share, and whether the option is the right one."""
    if sample.gold is None:
        return []
    return [
        (_share(r.option_logprob), r.loglik_answer == sample.gold)
        for r in readouts
        if r.option_logprob
    ]


def gold_surprise(sample: Sample, readouts: Readouts) -> list[float]:
    """-ln of the right option's share, in nats."""
    gold = sample.gold
    if gold is None:
        return []
    scored = [r.option_logprob for r in readouts if r.option_logprob]
    return [math.log(_total(s)) + max(s.values()) - s[gold] for s in scored]


def _share(scores: Mapping[str, float]) -> float:
    """Return the greatest exp(s) / sum of exp(s)."""
    return 1 / _total(scores)


def _total(scores: Mapping[str, float]) -> float:
    """Return the sum of exp(s - greatest s), of gaps alone so that equal gaps tie exactly."""
    best = max(scores.values())
    return math.fsum(math.exp(value - best) for value in scores.values())
