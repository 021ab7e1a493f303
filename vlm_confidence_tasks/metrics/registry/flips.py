"""Whether answers stand still."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from vlm_confidence_tasks.metrics import intervals, reducers
from vlm_confidence_tasks.metrics.extractors import generated_answers as answers
from vlm_confidence_tasks.metrics.extractors import values
from vlm_confidence_tasks.metrics.extractors.values import Select, perturbed
from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.registry.kinds import (
    ALWAYS,
    DOWN,
    RATE,
    mean,
)


def pooled() -> Iterator[Metric]:
    """Yield the flips on all perturbed images."""
    yield from _flips("", "perturbed", perturbed)


def of_family(name: str) -> Iterator[Metric]:
    """Yield the flips on a family's images."""
    yield from _flips(f"_{name}", name, partial(values.of_family, name))


def _flips(suffix: str, images: str, select: Select) -> Iterator[Metric]:
    instance = f"share of {images} images whose answer is not the clean one's"
    yield mean(f"ifr{suffix}", answers.flip, RATE, DOWN, instance, select)
    document = f"share of documents any of whose {images} images changes the answer"
    yield mean(f"iv{suffix}", answers.any_flip, RATE, DOWN, document, select)


def macro() -> Iterator[Metric]:
    """Yield the means over families."""
    reduce = reducers.mean_over_families
    interval = intervals.of_family_rates
    for name, flips, text in (
        ("ifr_macro", answers.flip, "mean over families of the share of answers that flip"),
        ("iv_macro", answers.any_flip, "mean over families of the share of documents that flip"),
    ):
        extract = partial(values.by_family, flips)
        yield Metric(name, extract, reduce, interval, ALWAYS, DOWN, text)
