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
    """Numbers of answers, in each of some selections of documents, [F].

    Attributes:
        owner: Which of the fit's documents each answer is of, [N].
        kept: Whether that is in each selection, [F, N].
        numbers: Numbers by name, [F, N] each.
    """

    owner: Ints
    kept: Bools
    numbers: dict[str, Any]

    def column(self, name: str) -> Floats:
        """Return the numbers of all answers, [N]: of the first selection, which is of all."""
        return np.asarray(self.numbers[name][0], dtype=np.float64)

    def total(self, name: str) -> Floats:
        """Return the sum of the numbers of each selection, [F]."""
        total: Floats = np.einsum("fn,fn->f", self.kept, self.numbers[name], dtype=np.float64)
        return total

    def sums(self, name: str, documents: int) -> Floats:
        """Add the numbers of each document up, [documents]."""
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
        fit: Fits to each of some selections of answers, [F, M], given their columns; returns
            None if one cannot be fitted to.
        apply: From what was fitted and columns to these rows' numbers by name, [F, N].
    """

    image: Ints
    second_half: Bools
    source: tuple[Ints, Columns]
    target: tuple[Ints, Columns]
    fit: Callable[..., Any]
    apply: Callable[..., dict[str, Any]]

    @cached_property
    def table(self) -> Table | None:
        """The numbers of all answers."""
        return self.table_of(np.ones((1, self.image.size), dtype=np.bool_))

    def table_of(self, kept: Bools) -> Table | None:
        """Fit on each half and apply to the other, on selections of the documents, [F, D]."""
        owners, parts = [], []
        for half in (False, True):
            source, fitted_on = self._of_half(self.source, half)
            target, shown = self._of_half(self.target, not half)
            rows = kept.take(source, axis=1)
            fitted = self.fit(rows, *fitted_on) if rows.any(axis=1).all() else None
            if fitted is None:
                return None
            owners.append(target)
            parts.append(self.apply(fitted, *shown))
        owner = np.concatenate(owners)
        numbers = {n: np.concatenate([part[n] for part in parts], axis=1) for n in parts[0]}
        held = Table(owner, kept.take(owner, axis=1), numbers)
        return held if held.kept.any(axis=1).all() else None

    def _of_half(self, rows: tuple[Ints, Columns], half: bool) -> tuple[Ints, Columns]:
        owner, columns = rows
        held = self.second_half[owner] == half
        return owner[held], tuple(column[held] for column in columns)

    @cached_property
    def without_groups(self) -> list[Table | None]:
        """The numbers of all answers, then fitted anew without each group of images, [1 + G]."""
        return tables_without_groups((self,))


def tables_without_groups(fits: tuple[CrossFit, ...]) -> list[Table | None]:
    """Fit on all documents, then anew without each group of images, of one or two views."""
    kept = deletions(np.concatenate([fit.image for fit in fits]))
    first = np.cumsum([fit.image.size for fit in fits])[:-1]
    return [
        fit.table_of(part) for fit, part in zip(fits, np.split(kept, first, axis=1), strict=True)
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
            view.once(self._usable) for view in (answers.clean_once, answers, answers.counterpart)
        )
        owners = np.concatenate([source[0], target[0], other[0]])
        if not owners.size:
            return None
        used = np.bincount(owners) > 0
        place = np.cumsum(used) - 1
        image, half = np.zeros(used.size, np.intp), np.zeros(used.size, np.bool_)
        for owner, (*_, images, halves) in (source, target, other):
            image[owner], half[owner] = images, halves
        fitted_on, shown = (
            (place[owner], tuple(columns)) for owner, (*columns, _, _) in (source, target)
        )
        return CrossFit(image[used], half[used], fitted_on, shown, self.fit, self.apply)

    def _usable(self, answers: Answers) -> tuple[Ints, Columns]:
        columns = (*self.columns(answers), answers.image, answers.second_half)
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


def _fit_temperature(
    kept: Bools, probs: Floats, answer: Ints, gold: Ints, *_: Any
) -> Floats | None:
    return fit_temperature(probs, gold, kept)


def _scaled(
    temperatures: Floats, probs: Floats, answer: Ints, gold: Ints, *_: Any
) -> dict[str, Floats]:
    each = np.arange(answer.size)
    scaled = np.array([apply_temperature(probs, t) if each.size else probs for t in temperatures])
    nll = -log_probability(scaled[:, each, gold])
    return {**_judged(scaled[:, each, answer], answer == gold), "nll": nll}


def _isotonic(
    fitted: list[tuple[Floats, Floats]], confidence: Floats, correct: Floats
) -> dict[str, Floats]:
    return _judged(np.array([isotonic(*pair, confidence) for pair in fitted]), correct)


def _judged(confidence: Floats, right: Floats | Bools) -> dict[str, Floats]:
    correct = np.broadcast_to(right.astype(np.float64), confidence.shape)
    losses = (confidence - correct) ** 2
    ones = np.ones(confidence.shape)
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
    kept: Bools, scores: Floats, right: Floats, first: Bools, image: Ints
) -> Floats | None:
    return conformal_threshold(right, image, kept=kept)


def _sets(
    thresholds: Floats, scores: Floats, right: Floats, first: Bools, image: Ints
) -> dict[str, Any]:
    """Make the sets, which hold the likeliest label at least: that covers no less."""
    limit = thresholds[:, None]
    labels = np.zeros((thresholds.size, right.size), dtype=np.int16)
    for of_label in scores.T:
        labels += of_label <= limit
    covered = (right <= limit) | first
    size, empty = np.maximum(labels, 1), labels == 0
    return {"covered": covered, "size": size, "empty": empty, "one": np.ones_like(covered)}


def _acceptance(kept: Bools, confidence: Floats, correct: Floats) -> Floats:
    return acceptance_threshold(confidence, kept=kept)


def _given(thresholds: Floats, confidence: Floats, correct: Floats) -> dict[str, Any]:
    given = confidence >= thresholds[:, None]
    return {"given": given, "wrong": given & (correct == 0), "one": np.ones_like(given)}


def _pairs(kept: Bools, confidence: Floats, correct: Floats) -> list[tuple[Floats, Floats]]:
    return [(confidence[rows], correct[rows]) for rows in kept]


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
