"""Pairs of a clean and a perturbed answer: what changed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from vlm_confidence_tasks.metrics import reducers
from vlm_confidence_tasks.metrics.extractors import generated_answers as answers
from vlm_confidence_tasks.metrics.extractors import values
from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.registry.kinds import (
    ALWAYS,
    DOWN,
    MEAN,
    NEITHER,
    POSITIVE,
    RATE,
    mean,
)

# Means over pairs of a clean and a perturbed answer.
_PAIRED_MEANS = (
    (
        "entropy_delta",
        answers.entropy_difference,
        MEAN,
        NEITHER,
        "mean H(perturbed) - H(clean), in nats",
    ),
    (
        "entropy_answer_delta",
        answers.entropy_at_answer_difference,
        MEAN,
        NEITHER,
        "mean H(perturbed) - H(clean) at the answer position, in nats",
    ),
    (
        "entropy_drop_rate",
        answers.entropy_drop,
        RATE,
        NEITHER,
        "share with H(perturbed) < H(clean)",
    ),
    (
        "visual_entropy",
        answers.answer_entropy,
        POSITIVE,
        DOWN,
        "mean entropy of a document's answers, nats",
    ),
    (
        "right_to_wrong",
        answers.broken,
        RATE,
        DOWN,
        "share made wrong, of those right on clean images",
    ),
    (
        "wrong_to_right",
        answers.repaired,
        RATE,
        NEITHER,
        "share made right, of those wrong on clean ones",
    ),
    (
        "wrong_to_right_named_right",
        partial(answers.repaired_where_named, True),
        RATE,
        NEITHER,
        "share made right by overlays that name the right answer, of those wrong on clean images",
    ),
    (
        "wrong_to_right_named_wrong",
        partial(answers.repaired_where_named, False),
        RATE,
        NEITHER,
        "share made right by overlays that name a wrong answer, of those wrong on clean images",
    ),
    (
        "fp_correction",
        answers.false_positive_repaired,
        RATE,
        NEITHER,
        'share of false "Yes" made "No"',
    ),
    (
        "fn_correction",
        answers.false_negative_repaired,
        RATE,
        NEITHER,
        'share of false "No" made "Yes"',
    ),
)


_DIFFERENCE_TESTS = (
    (
        "entropy_delta_p",
        reducers.sign_flip_of_differences,
        "two-sided sign-flip permutation p, by image, of entropy_delta; under 0.05 in 3 to 10% of "
        "true nulls",
    ),
    (
        "entropy_delta_wilcoxon_p",
        reducers.wilcoxon_of_differences,
        "two-sided Wilcoxon signed-rank p: images' mean entropy differences symmetric about 0",
    ),
)


def means() -> Iterator[Metric]:
    """Yield the means over pairs."""
    for name, numbers, interval, better, text in _PAIRED_MEANS:
        yield mean(name, numbers, interval, better, text)


def tests() -> Iterator[Metric]:
    """Yield the p-values of `entropy_delta`."""
    for name, test, text in _DIFFERENCE_TESTS:
        yield Metric(name, values.entropy_change, test, None, ALWAYS, NEITHER, text, is_p=True)
