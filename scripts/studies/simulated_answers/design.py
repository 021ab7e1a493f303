"""Answers in clusters: images with questions, questions with variants."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_confidence_tasks.metrics import Answers, Interval, metrics_for
from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.functional.cross_fitting import second_half
from vlm_confidence_tasks.metrics.statistics.statistic import Statistic

IMAGES = (10, 30, 100, 500)
QUESTIONS = (1, 18)
VARIANTS = (1, 4, 24)
CORRELATIONS = (0.0, 0.1, 0.3)
# How far answers to variants of one document go together, on the scale of their scores.
WITHIN_DOCUMENT = 0.8
TRUTH_ANSWERS = 2_000_000


@dataclass(frozen=True)
class Cell:
    """One design: how many images, at most how many questions on one, variants, correlation."""

    images: int
    questions: int
    variants: int
    correlation: float


@dataclass(frozen=True)
class Data:
    """The rows of one simulated run: an answer each.

    Attributes:
        image: Its image, [N].
        document: Its document, [N].
        cell: The design.
    """

    image: Ints
    document: Ints
    cell: Cell

    def scores(self, rng: np.random.Generator) -> Floats:
        """Draw standard normal scores, [N].

        Those of one image correlate as the cell says, and those of one document by 0.8.
        """
        shared = self.cell.correlation
        within = 1.0 if self.cell.variants == 1 else WITHIN_DOCUMENT
        images, documents, own = (
            rng.standard_normal(size)
            for size in (self.image.max() + 1, self.document.max() + 1, self.image.size)
        )
        return (
            np.sqrt(shared) * images[self.image]
            + np.sqrt(within - shared) * documents[self.document]
            + np.sqrt(1.0 - within) * own
        )

    def events(self, rng: np.random.Generator, rate: float) -> Floats:
        """Draw events with the cell's intra-image correlation, [N] of 0 and 1.

        The image's rate is beta distributed; a variant repeats its document with chance 0.8.
        """
        shared, images = self.cell.correlation, self.image.max() + 1
        rates = np.full(images, rate)
        if shared and 0 < rate < 1:
            size = (1.0 - shared) / shared
            rates = rng.beta(rate * size, (1.0 - rate) * size, images)
        drawn = rng.random(self.document.max() + 1)[self.document]
        if self.cell.variants > 1:
            own = rng.random(drawn.size) >= WITHIN_DOCUMENT
            drawn = np.where(own, rng.random(drawn.size), drawn)
        return (drawn < rates[self.image]).astype(np.float64)

    def table(self, **columns: NDArray[Any]) -> Answers:
        """Make the table of the answers, with some columns."""
        return table(self.image, self.document, **columns)

    def pairs(
        self, clean: Mapping[str, NDArray[Any]], perturbed: Mapping[str, NDArray[Any]]
    ) -> Answers:
        """Make the table of clean answers, [D, ...], and of the perturbed ones, [N, ...]."""
        image = self.image[:: self.cell.variants]
        document = np.concatenate([np.arange(image.size), self.document])
        return table(
            image[document],
            document,
            clean_row=document,
            counted=np.arange(document.size) >= image.size,
            second_half=second_half([str(name) for name in image[document]]),
            **{name: np.concatenate([clean[name], perturbed[name]]) for name in clean},
        )


# The statistics of the package's metrics, by name.
STATISTICS = {name: metric.statistic for name, metric in metrics_for(()).items()}


def table(image: Ints, document: Ints, **columns: NDArray[Any]) -> Answers:
    """Make a table with some columns, [N, ...]: those that a statistic takes."""
    rows = np.arange(document.size)
    given = {"image": image, "document": document, "row": rows, "clean_row": rows}
    return Answers((), {**given, **columns})


def simulated(cell: Cell, rng: np.random.Generator) -> Data:
    """Draw how many questions each image has, and lay the answers out."""
    questions = rng.integers(1, cell.questions + 1, cell.images)
    image_of = np.repeat(np.arange(cell.images), questions)
    return Data(
        image=np.repeat(image_of, cell.variants),
        document=np.repeat(np.arange(image_of.size), cell.variants),
        cell=cell,
    )


# What one repeat gives: an interval and the truth, or a p-value.
Outcome = tuple[Interval | None, float] | float | None
Generator = np.random.Generator
Draw = Callable[[Data, Generator], Sequence[Answers]]
# A measure of very many independent answers, each of its own image.
Truth = Callable[[Data, Generator], float]


@dataclass(frozen=True)
class Kind:
    """One kind of interval or test.

    Attributes:
        title: What it is.
        metrics: For which of the package's metrics it stands.
        number: Gives the interval, or p, of the tables that were drawn.
        draw: Draws a table, or two that are compared.
        truth: What the interval should hold; None of a test.
        variants: Whether it depends on the number of variants.
        questions: At most how many questions an image has, a cell for each.
    """

    title: str
    metrics: str
    number: Callable[..., Interval | float | None]
    draw: Draw
    truth: float | Truth | None = None
    variants: bool = True
    questions: Sequence[int] = QUESTIONS

    def run(self, data: Data, rng: Generator) -> Outcome:
        """Run one repeat."""
        found = self.number(*self.draw(data, rng))
        if self.truth is None:
            return found
        return found, measured(self.truth) if callable(self.truth) else self.truth


def of_metric(name: str, draw: Draw, truth: float | Truth, title: str = "", of: str = "") -> Kind:
    """Return the kind of the interval of a metric, and of others if `of` names them."""
    interval = STATISTICS[name].interval
    return Kind(title or f"`{name}`", of or f"`{name}`", interval, draw, truth)


def compared(title: str, statistic: Statistic, draw: Draw, truth: float | Truth = 0.0) -> Kind:
    """Return the kind of a difference of two runs."""
    return Kind(f"Difference of two {title}", "`compare`", statistic.difference, draw, truth)


@cache
def measured(truth: Truth) -> float:
    """Return a truth that has no formula."""
    rng = np.random.default_rng(20)
    return truth(simulated(Cell(TRUTH_ANSWERS, 1, 1, 0.0), rng), rng)


def cells(kind: Kind, images: Sequence[int] = IMAGES) -> Iterator[Cell]:
    """Yield the designs of a kind."""
    variants = VARIANTS if kind.variants else (1,)
    for n, questions, count, shared in itertools.product(
        images, kind.questions, variants, CORRELATIONS
    ):
        # One answer an image has nothing to correlate with.
        if questions * count > 1 or not shared:
            yield Cell(n, questions, count, shared)
