"""What every kind of number offers, and how the answers of one or two views are put together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints, all_numbers
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, Interval, too_few
from vlm_confidence_tasks.metrics.inference.ranks import ratio_influence

# One number per row of a view, [N], NaN where a row has none.
Take = Callable[[Answers], Floats]
# One view, or the two whose numbers are compared: the second less the first.
Views = tuple[Answers, ...]


@dataclass(frozen=True)
class Rows:
    """The answers of one or two views that have every number that a statistic takes.

    Attributes:
        columns: The numbers, [N] each.
        document: Number of the document of each answer, [N].
        image: Its image, [N].
        second: Whether it is of the second view, [N]; None of a single view.
    """

    columns: tuple[Floats, ...]
    document: Ints
    image: Ints
    second: Bools | None = None

    @property
    def views(self) -> Iterator[Rows]:
        """The rows of each view."""
        for side in (slice(None),) if self.second is None else (~self.second, self.second):
            yield Rows(tuple(c[side] for c in self.columns), self.document[side], self.image[side])

    @property
    def too_few(self) -> bool:
        """Whether the images of a view say too little of how images differ."""
        return any(too_few(np.bincount(rows.image)) for rows in self.views)

    def per_image(self) -> Rows:
        """Return one row per image of each view, with the means of its numbers."""
        parts = []
        for rows in self.views:
            images, index, count = np.unique(rows.image, return_inverse=True, return_counts=True)
            means = [np.bincount(index, column) / count for column in rows.columns]
            parts.append((*means, images))
        *columns, image = map(np.concatenate, zip(*parts, strict=True))
        second = second_view([part[-1].size for part in parts])
        return Rows(tuple(columns), image, image, second)

    def sums(self) -> DocumentSums:
        """Add the numbers of each document up, in each view."""
        parts = [_document_sums(rows) for rows in self.views]
        return DocumentSums(
            totals=tuple(map(np.concatenate, zip(*(part.totals for part in parts), strict=True))),
            count=np.concatenate([part.count for part in parts]),
            document=np.concatenate([part.document for part in parts]),
            image=np.concatenate([part.image for part in parts]),
            second=second_view([part.count.size for part in parts]),
        )


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
    second: Bools | None


def _document_sums(rows: Rows) -> DocumentSums:
    count = np.bincount(rows.document).astype(np.float64)
    image = np.zeros(count.size, dtype=np.intp)
    image[rows.document] = rows.image
    shown = np.flatnonzero(count)
    totals = tuple(
        np.bincount(rows.document, column)[shown].astype(np.float64) for column in rows.columns
    )
    return DocumentSums(totals, count[shown], shown, image[shown], None)


def second_view(sizes: Sequence[int]) -> Bools | None:
    """Return which rows are of the second view, by the views' sizes; None of a single view."""
    return None if len(sizes) == 1 else np.repeat([False, True], sizes)


def rows_of(views: Views, takes: Sequence[Take]) -> Rows | None:
    """Put the answers of all views together; None if a view has none with every number."""
    parts = []
    for answers in views:
        columns = [take(answers) for take in takes]
        known = np.flatnonzero(all_numbers(columns))
        if not known.size:
            return None
        numbers = [column[known] for column in columns]
        parts.append((*numbers, answers.document[known], answers.image[known]))
    *joined, document, image = map(np.concatenate, zip(*parts, strict=True))
    second = second_view([part[-1].size for part in parts])
    return Rows(tuple(joined), document.astype(np.intp), image.astype(np.intp), second)


class Statistic(ABC):
    """A kind of number: how it is computed from a view, and how its interval is made.

    The views of a comparison must be of tables in which images have the same numbers.
    """

    @property
    @abstractmethod
    def _takes(self) -> tuple[Take, ...]:
        """The numbers that an answer must have to count."""

    @property
    def estimates(self) -> bool:
        """Whether the number estimates something, and so has an interval."""
        return True

    def counts(self, answers: Answers) -> Bools:
        """Return which answers count, [N]."""
        return all_numbers([take(answers) for take in self._takes])

    @abstractmethod
    def value(self, answers: Answers) -> float | None:
        """Return the number; None if it is not defined on these answers."""

    @abstractmethod
    def interval(self, answers: Answers, level: float = LEVEL) -> Interval | None:
        """Return the number's interval over images; None where there is none."""

    @abstractmethod
    def difference(self, first: Answers, second: Answers, level: float = LEVEL) -> Interval | None:
        """Return the interval of the second view's number less the first's, paired by image."""

    def influence(self, answers: Answers, images: int) -> Floats | None:
        """Return how far the number moves without each image, [I]; None if it is no ratio of sums.

        NaN stands for an image without an answer that counts.
        """
        return None


class OfRows(Statistic):
    """A kind that needs nothing of a view but the numbers of the answers that count.

    A kind says what is made of them (`_value`), and how the interval is made (`_bounds`).
    """

    @abstractmethod
    def _value(self, rows: Rows) -> float | None:
        """Return the number of one view's rows; None if it is not defined on them."""

    @abstractmethod
    def _bounds(self, rows: Rows, level: float) -> Interval | None:
        """Return the interval of one view's number, or of the second's less the first's."""

    def rows(self, *views: Answers) -> Rows | None:
        """Return the answers of one or two views that count; None if a view has none."""
        return rows_of(views, self._takes)

    def value(self, answers: Answers) -> float | None:
        """Return the number; None if it is not defined on these answers."""
        rows = self.rows(answers)
        return None if rows is None else self._value(rows)

    def interval(self, answers: Answers, level: float = LEVEL) -> Interval | None:
        """Return the number's interval over images; None where there is none."""
        rows = self._rows_for_interval(answers)
        return None if rows is None else self._bounds(rows, level)

    def difference(self, first: Answers, second: Answers, level: float = LEVEL) -> Interval | None:
        """Return the interval of the second view's number less the first's, paired by image."""
        rows = self._rows_for_interval(first, second)
        return None if rows is None else self._bounds(rows, level)

    def influence(self, answers: Answers, images: int) -> Floats | None:
        """Return how far it moves without each image, [I]; None if it is no ratio of sums."""
        rows = self.rows(answers)
        if rows is None or (parts := self._ratio(rows)) is None:
            return None
        return ratio_influence(*parts, rows.image, images)

    def _ratio(self, rows: Rows) -> tuple[Floats, Floats] | None:
        """Return numerators and denominators, [N], if the number is the ratio of their sums."""
        return None

    def _rows_for_interval(self, *views: Answers) -> Rows | None:
        """Return the rows; None where the number estimates nothing, or of too few images."""
        rows = self.rows(*views) if self.estimates else None
        return None if rows is None or rows.too_few else rows

    def _change(self, rows: Rows) -> float | None:
        """Return the number, or of two views the second's less the first's."""
        numbers = [self._value(view) for view in rows.views]
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers):
            return None
        return known[-1] - (known[0] if len(known) > 1 else 0.0)


class WithoutInterval(Statistic):
    """A number that has no interval: a test's, which estimates nothing, or one of no known law."""

    @property
    def estimates(self) -> bool:
        """Whether there is an interval."""
        return False

    def interval(self, answers: Answers, level: float = LEVEL) -> None:
        """Return None."""

    def difference(self, first: Answers, second: Answers, level: float = LEVEL) -> None:
        """Return None."""
