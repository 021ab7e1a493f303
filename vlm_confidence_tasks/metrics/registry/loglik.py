"""The answer read as the likeliest option."""

from __future__ import annotations

from collections.abc import Iterator

from vlm_confidence_tasks.metrics.extractors import option_loglik as loglik
from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.registry.kinds import (
    DOWN,
    LOGLIK,
    NEITHER,
    POSITIVE,
    RATE,
    SHARE,
    UP,
    mean,
    sided_means,
)

_MEANS = (
    (
        "loglik_accuracy",
        loglik.correct,
        RATE,
        UP,
        "share of {images} with the right option likeliest",
    ),
    (
        "loglik_mean_accuracy",
        loglik.mean_correct,
        RATE,
        UP,
        "the same by the mean over tokens, {images}",
    ),
    (
        "loglik_margin",
        loglik.margin,
        POSITIVE,
        NEITHER,
        "mean s(best) - s(second) on {images}, in nats",
    ),
    (
        "loglik_confidence",
        loglik.confidence,
        SHARE,
        NEITHER,
        "mean share of the likeliest on {images}",
    ),
    (
        "loglik_nll",
        loglik.gold_surprise,
        POSITIVE,
        DOWN,
        "mean -ln of the right option's share, {images}",
    ),
)


def means() -> Iterator[Metric]:
    """Yield the means over options' likelihoods."""
    return sided_means(_MEANS, LOGLIK)


def flips() -> Iterator[Metric]:
    """Yield whether the likeliest option stands still."""
    instance = "share of perturbed images whose likeliest option is not the clean one's"
    yield mean("loglik_ifr", loglik.flip, RATE, DOWN, instance, requires=LOGLIK)
    document = "share of documents any of whose perturbed images changes the likeliest option"
    yield mean("loglik_iv", loglik.any_flip, RATE, DOWN, document, requires=LOGLIK)
