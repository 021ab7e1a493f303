"""Answers on clean and on perturbed images: are they right, and how sure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from vlm_confidence_tasks.metrics.extractors import generated_answers as answers
from vlm_confidence_tasks.metrics.extractors import values
from vlm_confidence_tasks.metrics.extractors.values import clean
from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.registry.kinds import (
    DOWN,
    F1,
    NEITHER,
    POSITIVE,
    RATE,
    SHARE,
    SIDES,
    UP,
    from_counts,
    mean,
    sided_means,
    sides,
)

# Means over answers.
_SIDED_MEANS = (
    ("accuracy", answers.correct, RATE, UP, "share of right answers to {images}"),
    ("yes_ratio", answers.said_yes, RATE, NEITHER, 'share of answers to {images} that are "Yes"'),
    ("entropy", answers.entropy, POSITIVE, NEITHER, "mean token entropy on {images}, in nats"),
    (
        "entropy_answer",
        answers.entropy_at_answer,
        POSITIVE,
        NEITHER,
        "mean entropy at the answer position on {images}, in nats",
    ),
    (
        "confidence",
        answers.confidence,
        SHARE,
        NEITHER,
        "mean probability of the answers to {images}, without unparsed ones",
    ),
    ("nll", answers.gold_surprise, POSITIVE, DOWN, "mean -ln p(right label) on {images}, in nats"),
    (
        "invalid_rate",
        answers.invalid,
        RATE,
        DOWN,
        "share of answers to {images} that name no label",
    ),
    ("answer_mass", answers.answer_mass, SHARE, UP, "mean probability of all labels on {images}"),
    (
        "position_unknown",
        answers.position_unknown,
        RATE,
        DOWN,
        "share of answers to {images} whose label begins at no known token: no confidence",
    ),
    (
        "entropy_low",
        answers.lower_bound,
        POSITIVE,
        NEITHER,
        "mean lower bound of the entropy on {images}, in nats, from the k likeliest tokens",
    ),
    (
        "entropy_high",
        answers.upper_bound,
        POSITIVE,
        NEITHER,
        "mean upper bound of the entropy on {images}, in nats, from the k likeliest tokens",
    ),
    (
        "entropy_bounded",
        answers.bounded,
        RATE,
        DOWN,
        "share of answers to {images} with bounds in place of an entropy: in no other entropy",
    ),
    (
        "probs_unsettled",
        answers.unsettled,
        RATE,
        DOWN,
        "share of answers to {images} with a label outside the k likeliest tokens: no confidence",
    ),
)


# Name, which counts it divides by which (`intervals.of_counts`), description.
_CONFUSION = (
    ("precision", (1, 1, 1, 0), "share of positive answers to {images} that are right"),
    ("recall", (1, 1, 0, 1), "share of positive documents answered positive on {images}"),
    ("f1", F1, "harmonic mean of precision and recall on {images}"),
)


def means() -> Iterator[Metric]:
    """Yield the means over answers."""
    return sided_means(_SIDED_MEANS)


def upstream() -> Iterator[Metric]:
    """Yield the benchmark's own score."""
    text = "upstream's own score of the answers to all clean images, once each"
    yield mean("accuracy_upstream_clean", answers.upstream, RATE, UP, text, clean)


def confusions() -> Iterator[Metric]:
    """Yield what is made of true and false positives."""
    extract = {side: partial(values.confusion_counts, side) for _, side, _ in SIDES}
    for name, weights, text in _CONFUSION:
        for sided, select, line in sides(name, text):
            yield from_counts(sided, name, weights, extract[select], line)
