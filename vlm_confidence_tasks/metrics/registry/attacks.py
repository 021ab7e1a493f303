"""Whether a search along the gradient reaches its goal, and what that adds to its size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from vlm_confidence_tasks.metrics import intervals, reducers
from vlm_confidence_tasks.metrics.extractors import attacks
from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.registry.kinds import ATTACKS, DOWN, RATE, mean

_GOALS = (
    ("attack_success", attacks.GOALS, "share of attacks that reach their goal"),
    ("attack_success_flip", ("flip",), "share of attacks that change the answer to another label"),
    (
        "attack_success_sure",
        ("sure",),
        "share of attacks that give another label no more entropy than the clean answer has",
    ),
    (
        "attack_success_unsure",
        ("unsure",),
        "share of attacks that raise the entropy of the answer, which is kept",
    ),
    (
        "attack_success_hidden",
        ("hidden",),
        "share of attacks that keep the answer and move the context as far as other images do",
    ),
    (
        "attack_success_loglik",
        ("loglik",),
        "share of attacks that make another option likelier, and the clean one less likely",
    ),
)
_CONTROLS = (
    ("attack_over_control", attacks.CONTROLS, "of their controls"),
    ("attack_over_signs", ("signs",), "of random signs of the same size"),
    ("attack_over_noise", ("noise",), "of Gaussian noise whose largest value has the same size"),
    ("attack_over_other", ("other",), "of the differences that attacks make to another image"),
)


def metrics() -> Iterator[Metric]:
    """Yield the success of attacks, alone and against controls."""
    for name, goals, text in _GOALS:
        numbers = partial(attacks.success, goals)
        yield mean(name, numbers, RATE, DOWN, text, requires=ATTACKS)
    for name, controls, text in _CONTROLS:
        extract = partial(attacks.over_control, controls)
        reduce, interval = reducers.pooled_mean, intervals.of_rate_difference
        line = f"success of attacks less that {text}"
        yield Metric(name, extract, reduce, interval, ATTACKS, DOWN, line)
