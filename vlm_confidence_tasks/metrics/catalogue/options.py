"""The answer read as the likeliest option.

s(option) is ln p of the option's text after the prompt, in nats; the answer is the option with
the greatest s. Where the options were not scored there is no number.
"""

from __future__ import annotations

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.catalogue.answers import gold_surprise
from vlm_confidence_tasks.metrics.catalogue.flips import any_flip, flip
from vlm_confidence_tasks.metrics.catalogue.metric import (
    BOTH,
    DOWN,
    UP,
    Metric,
    only,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.statistics.calibration_errors import confidence, correct
from vlm_confidence_tasks.metrics.statistics.means import POSITIVE, SHARE, Mean, Rate


def mean_correct(answers: Answers) -> Floats:
    """Whether each option that is likeliest by the mean over its tokens is the right one."""
    known = ~np.isnan(answers.correct) & (answers.option_mean_answer >= 0)
    return only(known, answers.option_mean_answer == answers.gold)


def margin(answers: Answers) -> Floats:
    """s(best option) - s(second) of each answer, in nats.

    Each answer's own best: the clean answer as base would select the clean margin upwards.
    """
    ranked = np.sort(np.where(np.isnan(answers.option_scores), -np.inf, answers.option_scores))
    if ranked.shape[1] < 2:
        return np.full(len(answers), np.nan)
    with np.errstate(invalid="ignore"):
        gap = ranked[:, -1] - ranked[:, -2]
    return only(np.isfinite(gap), gap)


METRICS = (
    Metric(
        "loglik_accuracy",
        Rate(correct),
        "share of {images} with the right option likeliest",
        higher_is_better=UP,
        sides=BOTH,
        source="options",
        needs="1,000",
        cannot_tell="options of unequal length: the sum favours short ones",
    ),
    Metric(
        "loglik_mean_accuracy",
        Rate(mean_correct),
        "share of {images} with the right option likeliest by the mean over its tokens",
        higher_is_better=UP,
        sides=BOTH,
        source="options",
        needs="1,000",
        cannot_tell="as `accuracy`",
    ),
    Metric(
        "loglik_margin",
        Mean(margin, POSITIVE),
        "mean s(best) - s(second) on {images}, in nats",
        sides=BOTH,
        source="options",
        cannot_tell="whether the best is still the clean one: see `loglik_ifr`",
    ),
    Metric(
        "loglik_confidence",
        Mean(confidence, SHARE),
        "mean share of the likeliest on {images}",
        sides=BOTH,
        source="options",
        cannot_tell="whether any option is likely: the shares are among them",
    ),
    Metric(
        "loglik_nll",
        Mean(gold_surprise, POSITIVE),
        "mean -ln of the right option's share on {images}, in nats",
        higher_is_better=DOWN,
        sides=BOTH,
        source="options",
        needs="500",
        cannot_tell="as `nll`",
    ),
    Metric(
        "loglik_ifr",
        Rate(flip),
        "share of {images} whose likeliest option is not the clean one's",
        higher_is_better=DOWN,
        source="options",
        cannot_tell="as `ifr`",
    ),
    Metric(
        "loglik_iv",
        Rate(any_flip),
        "share of documents any of whose {images} changes the likeliest option",
        higher_is_better=DOWN,
        source="options",
        cannot_tell="as `iv`",
    ),
)
