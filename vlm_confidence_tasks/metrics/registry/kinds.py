"""What the metrics' records have in common: kinds of means, both sides, what is required."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from operator import attrgetter

from vlm_confidence_tasks.metrics import intervals, reducers
from vlm_confidence_tasks.metrics.extractors import values
from vlm_confidence_tasks.metrics.extractors.values import Numbers, Select, clean, perturbed
from vlm_confidence_tasks.metrics.metric import Extract, IntervalFunction, Metric

UP, DOWN, NEITHER = True, False, None
# What the names of metrics end in, of which images they are, and these in words.
SIDES: tuple[tuple[str, Select, str], ...] = (
    ("", perturbed, "perturbed images"),
    ("_clean", clean, "clean images"),
)


# What a task may measure besides its answers, as in `Metric.requires`.
ALWAYS: frozenset[str] = frozenset()
VERBAL, LOGLIK, REPRESENTATIONS = map(frozenset, (["verbal"], ["loglik"], ["representations"]))
ATTACKS, OBJECT_NOISE = frozenset({"attacks"}), frozenset({"object_noise"})
SAME_QUESTION = REPRESENTATIONS | {"same_question"}


# The kinds of means, by how their intervals are made.
RATE: IntervalFunction = intervals.of_rate
MEAN, SHARE, POSITIVE = (
    partial(intervals.of_mean, within)
    for within in (intervals.NO_BOUNDS, intervals.SHARE, intervals.POSITIVE)
)


# What F1 divides by what, as in `intervals.of_counts`.
F1 = (2, 2, 1, 1)


def mean(
    name: str,
    numbers: Numbers,
    interval: IntervalFunction,
    better: bool | None,
    text: str,
    select: Select = perturbed,
    requires: frozenset[str] = ALWAYS,
) -> Metric:
    """Make the metric that is the mean of some numbers of each document."""
    extract = partial(values.mean, name, numbers, select)
    return Metric(name, extract, reducers.pooled_mean, interval, requires, better, text)


def sides(name: str, text: str) -> Iterator[tuple[str, Select, str]]:
    """Yield name, images and description of a metric on perturbed and on clean images."""
    for end, select, images in SIDES:
        yield f"{name}{end}", select, text.format(images=images)


# Name, numbers, interval, which way is better, and description of a mean.
Row = tuple[str, Numbers, IntervalFunction, bool | None, str]


def sided_means(rows: Iterable[Row], requires: frozenset[str] = ALWAYS) -> Iterator[Metric]:
    """Yield the means of rows, on perturbed and on clean images."""
    for name, numbers, interval, better, text in rows:
        for sided, select, line in sides(name, text):
            yield mean(sided, numbers, interval, better, line, select, requires)


def alignment(
    name: str,
    keys: tuple[str, str],
    extract: Extract,
    better: bool | None,
    text: str,
    requires: frozenset[str],
) -> Metric:
    """Make the metric that is the rank correlation of two columns."""
    reduce = partial(reducers.from_alignment, keys)
    interval = partial(intervals.of_alignment, keys)
    return Metric(name, extract, reduce, interval, requires, better, text)


def from_counts(
    name: str,
    measured: str,
    weights: tuple[int, int, int, int],
    extract: Extract,
    text: str,
    requires: frozenset[str] = ALWAYS,
) -> Metric:
    """Make a metric that divides counts; `intervals.of_counts` has the weights."""
    reduce = partial(reducers.from_confusion, attrgetter(measured))
    interval = partial(intervals.of_counts, weights)
    return Metric(name, extract, reduce, interval, requires, UP, text)
