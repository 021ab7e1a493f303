"""What the model says of its certainty in a second turn; needs no logits."""

from __future__ import annotations

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.catalogue.metric import (
    BOTH,
    DOWN,
    UP,
    Metric,
    only,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.statistics.means import SHARE, Mean, Rate
from vlm_confidence_tasks.metrics.statistics.rankings import Correlation
from vlm_confidence_tasks.metrics.statistics.ratios import CountRatio
from vlm_confidence_tasks.types import Measure

# From this stated confidence on, a model is taken to claim that the answer is right.
CERTAIN = 0.5
VERBAL: frozenset[Measure] = frozenset({"verbal"})


def invalid(answers: Answers) -> Floats:
    """Whether no number was given, for each answer with a second turn."""
    return only(answers.asked_certainty, np.isnan(answers.stated))


def right(answers: Answers) -> Floats:
    """Whether each answer with a second turn is right.

    An answer that could not be read is quoted as it stands in the second turn, and is wrong.
    """
    return only(answers.asked_certainty, answers.correct)


def claimed(answers: Answers) -> Floats:
    """Whether the model claims that the answer is right; 0 where it did not say."""
    return only(answers.asked_certainty, answers.stated >= CERTAIN)


def true_claim(answers: Answers) -> Floats:
    """Whether each claim is true; where nothing was claimed there is no true claim."""
    correct = right(answers)
    said = ~np.isnan(answers.stated)
    return only(~np.isnan(correct), said & (claimed(answers) == correct))


METRICS = (
    Metric(
        "verbal_confidence",
        Mean(lambda a: a.stated, SHARE),
        "mean certainty stated of {images}",
        sides=BOTH,
        requires=VERBAL,
        cannot_tell="whether it is right to be so sure: see `verbal_ece`",
    ),
    Metric(
        "verbal_accuracy",
        Rate(true_claim),
        "share of right claims on {images} to be right",
        higher_is_better=UP,
        sides=BOTH,
        requires=VERBAL,
        needs="500",
        cannot_tell="accuracy in the task: a claim is a certainty of 50% or more",
    ),
    Metric(
        "verbal_invalid_rate",
        Rate(invalid),
        "share of {images} without a stated certainty",
        higher_is_better=DOWN,
        sides=BOTH,
        requires=VERBAL,
        cannot_tell="why: the texts are in the samples",
    ),
    Metric(
        "verbal_f1",
        CountRatio(right, claimed, (2, 2, 1, 1)),
        "F1 of claims to be right on {images}",
        higher_is_better=UP,
        sides=BOTH,
        requires=VERBAL,
        needs="500",
        cannot_tell="as `verbal_accuracy`",
    ),
    Metric(
        "verbal_alignment",
        Correlation(lambda a: a.stated, lambda a: a.confidence),
        "Spearman correlation of stated and token confidence on {images}",
        higher_is_better=UP,
        sides=BOTH,
        requires=VERBAL,
        cannot_tell="whether either is right",
    ),
)
