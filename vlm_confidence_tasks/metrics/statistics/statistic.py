"""What every kind of number offers, and how the answers of one or two views are put together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, Interval

# One number per row of a view, [N], NaN where a row has none.
Take = Callable[[Answers], Floats]
# One view, or the two whose numbers are compared: the second less the first.
Views = tuple[Answers, ...]


class Statistic(ABC):
    """A kind of number: how it is computed from a view, and how its interval is made.

    The views of a comparison must be of tables whose images have the same numbers.
    """

    @abstractmethod
    def value(self, answers: Answers) -> float | None:
        """Return the number; None if it is not defined on these answers."""

    def interval(self, answers: Answers, level: float = LEVEL) -> Interval | None:
        """Return the number's interval over images; None where there is none."""
        return self._interval((answers,), level)

    def difference(self, first: Answers, second: Answers, level: float = LEVEL) -> Interval | None:
        """Return the interval of the second view's number less the first's, paired by image."""
        return self._interval((first, second), level)

    def _interval(self, views: Views, level: float) -> Interval | None:
        """Return either interval. A number that estimates nothing (a p-value) has none."""
        return None

    @property
    def estimates(self) -> bool:
        """Whether the number estimates something, and so has an interval."""
        return type(self)._interval is not Statistic._interval

    def change(self, views: Views) -> float | None:
        """Return the number, or of two views the second's less the first's."""
        numbers = [self.value(answers) for answers in views]
        if any(number is None for number in numbers):
            return None
        last, *first = [number for number in reversed(numbers) if number is not None]
        return last - first[0] if first else last


@dataclass(frozen=True)
class Rows:
    """The rows of one or two views that have numbers.

    Attributes:
        columns: The numbers, [N] each.
        image: The image of each row, [N].
        second: Whether each row is of the second view, [N]; None of a single view.
    """

    columns: tuple[Floats, ...]
    image: Ints
    second: Bools | None


def joined(views: Views, *takes: Take) -> Rows | None:
    """Put the rows of all views together that have every number; None if a view has no such row."""
    parts = []
    for answers in views:
        columns = [take(answers) for take in takes]
        known = ~np.isnan(columns).any(axis=0)
        if not known.any():
            return None
        parts.append((*(numbers[known] for numbers in columns), answers.image[known]))
    *columns, image = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Rows(tuple(columns), image.astype(np.intp), second_view([len(p[-1]) for p in parts]))


def second_view(sizes: Sequence[int]) -> Bools | None:
    """Return which rows are of the second view, by the views' sizes; None of a single view."""
    return None if len(sizes) == 1 else np.repeat([False, True], sizes)


@dataclass(frozen=True)
class DocumentSums:
    """Sums over the answers to each document that has any.

    Attributes:
        totals: Sum of each number, [D] each.
        count: Number of answers, [D].
        document: Number of the document, [D].
        image: Its image, [D].
        second: Whether it is of the second view, [D]; None of a single view.
    """

    totals: tuple[Floats, ...]
    count: Floats
    document: Ints
    image: Ints
    second: Bools | None = None


def document_sums(answers: Answers, *takes: Take) -> DocumentSums | None:
    """Add the numbers of each document's answers up; None if no answer has all of them."""
    columns = [take(answers) for take in takes]
    known = ~np.isnan(columns).any(axis=0)
    if not known.any():
        return None
    owner = answers.document[known]
    count = np.bincount(owner).astype(np.float64)
    image = np.zeros(count.size, dtype=np.intp)
    image[owner] = answers.image[known]
    shown = np.flatnonzero(count)
    totals = (np.bincount(owner, numbers[known])[shown] for numbers in columns)
    return DocumentSums(tuple(totals), count[shown], shown, image[shown])


def joined_sums(views: Views, *takes: Take) -> DocumentSums | None:
    """Put the sums of all views together; None if a view has no answer with all numbers."""
    parts = [part for answers in views if (part := document_sums(answers, *takes)) is not None]
    if len(parts) < len(views):
        return None
    return DocumentSums(
        totals=tuple(np.concatenate(each) for each in zip(*(p.totals for p in parts), strict=True)),
        count=np.concatenate([part.count for part in parts]),
        document=np.concatenate([part.document for part in parts]),
        image=np.concatenate([part.image for part in parts]),
        second=second_view([part.count.size for part in parts]),
    )
