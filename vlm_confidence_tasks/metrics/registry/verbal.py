"""What the model says of its certainty."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from vlm_confidence_tasks.metrics.extractors import values
from vlm_confidence_tasks.metrics.extractors import verbal_confidence as verbal
from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.registry.kinds import (
    DOWN,
    F1,
    NEITHER,
    RATE,
    SHARE,
    UP,
    VERBAL,
    alignment,
    from_counts,
    sided_means,
    sides,
)

_MEANS = (
    ("verbal_confidence", verbal.confidence, SHARE, NEITHER, "mean certainty stated of {images}"),
    ("verbal_accuracy", verbal.accuracy, RATE, UP, "share of right claims on {images} to be right"),
    (
        "verbal_invalid_rate",
        verbal.invalid,
        RATE,
        DOWN,
        "share of {images} without a stated certainty",
    ),
)


def means() -> Iterator[Metric]:
    """Yield the means over stated certainties."""
    return sided_means(_MEANS, VERBAL)


def claims() -> Iterator[Metric]:
    """Yield what stated certainty says as a claim, and how far it goes with the token's."""
    for name, select, line in sides("verbal_f1", "F1 of claims to be right on {images}"):
        yield from_counts(name, "f1", F1, partial(values.claim_counts, select), line, VERBAL)
    text = "Spearman correlation of stated and token confidence on {images}"
    for name, select, line in sides("verbal_alignment", text):
        extract = partial(values.alignment_columns, select)
        yield alignment(name, ("verbal", "token"), extract, UP, line, VERBAL)
