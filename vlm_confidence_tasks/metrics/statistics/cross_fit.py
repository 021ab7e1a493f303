"""What is fitted on the clean answers of one half of the images, applied to the other half.

Every number of a `Table` is made by what was fitted on images that the answer is not about. There
is no table where a half has nothing to fit on, or nothing can be fitted on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.functional.calibration import log_probability
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints, any_number
from vlm_confidence_tasks.metrics.functional.conformal import (
    aps_scores,
    conformal_threshold,
    lac_scores,
)
from vlm_confidence_tasks.metrics.functional.recalibration import (
    apply_temperature,
    fit_temperature,
    isotonic,
)
from vlm_confidence_tasks.metrics.functional.selective import acceptance_threshold
from vlm_confidence_tasks.metrics.inference.jackknife import deletions

# Columns of some answers, [N, ...] each.
Columns = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """Numbers of answers, in the parts that were fitted.

    Attributes:
        owners: Which of the fit's documents each answer of a part is of, [N] each.
        parts: Numbers by name, [N] each; "one" is 1 of every answer.
    """

    owners: tuple[Ints, ...]
    parts: tuple[dict[str, Floats], ...]

    @cached_property
    def owner(self) -> Ints:
        """The document of each answer of all parts."""
        return np.concatenate(self.owners)

    def column(self, name: str) -> Floats:
        """Return the numbers of all parts."""
        return np.concatenate([part[name] for part in self.parts])

    def total(self, name: str) -> float:
        """Return the sum of a column."""
        return sum(float(part[name].sum()) for part in self.parts)

    def sums(self, name: str, documents: int) -> Floats:
        """Add a column's numbers of each document up, [documents]."""
        found: Floats = np.bincount(self.owner, self.column(name), documents).astype(np.float64)
        return found


@dataclass(frozen=True, eq=False)
class CrossFit:
    """What is to be fitted on a view's clean answers, and applied to its rows.

    Attributes:
        image: The image of each document with a usable answer, [D].
        second_half: Whether it is in the second half, [D].
        source: The document of each answer that is fitted on, [M], and its columns.
        target: The document of each answer that it is applied to, [N], and its columns.
        fit: Fits to some rows of columns, given which; returns None if it cannot be done.
        apply: From what was fitted and some rows of columns to these rows' numbers by name.
    """

    image: Ints
    second_half: Bools
    source: tuple[Ints, Columns]
    target: tuple[Ints, Columns]
    fit: Callable[..., Any]
    apply: Callable[..., dict[str, Floats]]

    @cached_property
    def table(self) -> Table | None:
        """The numbers of all answers."""
        return self.table_of(np.ones(self.image.size, dtype=np.bool_))

    def table_of(self, kept: Bools) -> Table | None:
        """Fit on each half and apply to the other, on some of the documents, [D]."""
        (source, fitted_on), (target, shown) = self.source, self.target
        owners, parts = [], []
        for half in (False, True):
            rows = ((self.second_half == half) & kept)[source]
            here = ((self.second_half != half) & kept)[target]
            fitted = self.fit(rows, *fitted_on) if rows.any() else None
            if fitted is None:
                return None
            owners.append(target[here])
            parts.append(self.apply(fitted, here, *shown))
        return Table(tuple(owners), tuple(parts)) if any(map(len, owners)) else None

    @cached_property
    def without_groups(self) -> list[tuple[Table | None, ...]]:
        """The numbers of all answers, then fitted anew without each group of images, [1 + G]."""
        return tables_without_groups((self,))


def tables_without_groups(fits: tuple[CrossFit, ...]) -> list[tuple[Table | None, ...]]:
    """Fit on all documents, then anew without each group of images, of one or two views."""
    sizes = [fit.image.size for fit in fits]
    first = np.cumsum([0, *sizes])
    second = None if len(fits) == 1 else np.repeat([False, True], sizes)
    return [
        tuple(
            fit.table_of(np.bincount(rows - start, minlength=size) > 0)
            for fit, rows, start, size in zip(fits, kept, first, sizes, strict=False)
        )
        for kept in deletions(np.concatenate([fit.image for fit in fits]), second)
    ]


@dataclass(frozen=True)
class Refit:
    """A function that is fitted on clean answers: calling it prepares it for a view.

    Attributes:
        columns: Gives what it takes of each row, the first NaN where a row cannot be used.
        fit: As of `CrossFit`.
        apply: As of `CrossFit`.
    """

    columns: Callable[[Answers], Columns]
    fit: Callable[..., Any]
    apply: Callable[..., dict[str, Floats]]

    def __call__(self, answers: Answers) -> CrossFit | None:
        """Prepare the fit for a view; None if none of its answers can be used."""
        source, target, other = (
            self._usable(view) for view in (answers.clean_once, answers, answers.counterpart)
        )
        owners = np.concatenate([source[0], target[0], other[0]])
        if not owners.size:
            return None
        documents = np.unique(owners)
        image, half = np.zeros(documents.size, np.intp), np.zeros(documents.size, np.bool_)
        place = np.searchsorted(documents, answers.document)
        known = np.isin(answers.document, documents)
        image[place[known]] = answers.image[known]
        half[place[known]] = answers.second_half[known]
        fitted_on, shown = (
            (np.searchsorted(documents, owner), columns) for owner, columns in (source, target)
        )
        return CrossFit(image, half, fitted_on, shown, self.fit, self.apply)

    def _usable(self, answers: Answers) -> tuple[Ints, Columns]:
        columns = self.columns(answers)
        first = columns[0]
        usable = any_number(first if first.ndim == 2 else first[:, None])
        return answers.document[usable], tuple(column[usable] for column in columns)


def label_columns(answers: Answers) -> Columns:
    """Return label probabilities, answer, right label, random number and image of each row.

    An answer without a confidence has no place in any calibration.
    """
    usable = ~np.isnan(answers.confidence) & (answers.gold >= 0)
    probs = np.where(usable[:, None], answers.probs, np.nan)
    return probs, answers.answer, answers.gold, answers.uniform, answers.image


def pair_columns(answers: Answers) -> Columns:
    """Return confidence and correctness of each row."""
    return answers.confidence + 0.0 * answers.correct, answers.correct


def _fit_temperature(rows: Bools, probs: Floats, answer: Ints, gold: Ints, *_: Any) -> float | None:
    return fit_temperature(probs[rows], gold[rows])


def _scaled(
    temperature: float, rows: Bools, probs: Floats, answer: Ints, gold: Ints, *_: Any
) -> dict[str, Floats]:
    probs, answer, gold = probs[rows], answer[rows], gold[rows]
    each = np.arange(answer.size)
    scaled = apply_temperature(probs, temperature) if each.size else probs
    nll = -log_probability(scaled[each, gold])
    return {**_judged(scaled[each, answer], answer == gold), "nll": nll}


def _isotonic(
    fitted: tuple[Floats, Floats], rows: Bools, confidence: Floats, correct: Floats
) -> dict[str, Floats]:
    return _judged(isotonic(*fitted, confidence[rows]), correct[rows])


def _judged(confidence: Floats, right: Floats | Bools) -> dict[str, Floats]:
    correct = right.astype(np.float64)
    losses = (confidence - correct) ** 2
    ones = np.ones(confidence.size)
    return {"confidence": confidence, "correct": correct, "brier": losses, "one": ones}


def _lac_columns(answers: Answers) -> Columns:
    return _set_columns(answers, lambda probs, _: lac_scores(probs))


def _aps_columns(answers: Answers) -> Columns:
    return _set_columns(answers, aps_scores)


def _set_columns(answers: Answers, score: Callable[[Floats, Floats], Floats]) -> Columns:
    """Return of each row every label's score, the right one's, whether that is least, the image."""
    probs, _, gold, uniform, image = label_columns(answers)
    usable = np.flatnonzero(~np.isnan(probs).all(axis=1))
    scores, right = np.full_like(probs, np.nan), np.full(len(probs), np.nan)
    first = np.zeros(len(probs), dtype=np.bool_)
    if usable.size:
        scores[usable] = score(probs[usable], uniform[usable])
        right[usable] = scores[usable, gold[usable]]
        first[usable] = np.nanargmin(scores[usable], axis=1) == gold[usable]
    return scores, right, first, image


def _set_threshold(
    rows: Bools, scores: Floats, right: Floats, first: Bools, image: Ints
) -> float | None:
    return conformal_threshold(right[rows], image[rows])


def _sets(
    threshold: float, rows: Bools, scores: Floats, right: Floats, first: Bools, image: Ints
) -> dict[str, Floats]:
    """Make the sets, which hold the likeliest label at least: that covers no less."""
    labels = np.count_nonzero(scores <= threshold, axis=1)[rows]
    return {
        "covered": ((right[rows] <= threshold) | first[rows]).astype(np.float64),
        "size": np.maximum(labels, 1).astype(np.float64),
        "empty": (labels == 0).astype(np.float64),
        "one": np.ones(labels.size),
    }


def _acceptance(rows: Bools, confidence: Floats, correct: Floats) -> float:
    return acceptance_threshold(confidence[rows])


def _given(threshold: float, rows: Bools, confidence: Floats, correct: Floats) -> dict[str, Floats]:
    given = (confidence[rows] >= threshold).astype(np.float64)
    return {"given": given, "wrong": given * (1.0 - correct[rows]), "one": np.ones(given.size)}


def _pairs(rows: Bools, confidence: Floats, correct: Floats) -> tuple[Floats, Floats]:
    return confidence[rows], correct[rows]


# Probabilities by temperature scaling: confidence, correct, brier and nll.
SCALED = Refit(label_columns, _fit_temperature, _scaled)
# Confidence by isotonic regression: confidence, correct and brier.
ISOTONIC = Refit(pair_columns, _pairs, _isotonic)
# Whether the right label is in the 90% set, how many labels are, and whether it was empty.
LAC_SETS = Refit(_lac_columns, _set_threshold, _sets)
# As `LAC_SETS`, randomised; all variants of a document share its random number.
APS_SETS = Refit(_aps_columns, _set_threshold, _sets)
# Whether an answer is given at 80% of the clean ones, and whether it is given and wrong.
ACCEPTED = Refit(pair_columns, _acceptance, _given)
