"""What is fitted on the clean answers of one half of the images, applied to the other half.

Each function takes the values of `extractors.trust`, at least one, and of most a side; the
table of a `CrossFit` has numbers of that side's answers, every one by what was fitted on images
that it is not about. No table: a half has nothing to fit on, or nothing can be fitted on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Literal

import numpy as np

from vlm_confidence_tasks.metrics.functional.calibration import SMALLEST_PROBABILITY
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.functional.conformal import (
    aps_scores,
    conformal_threshold,
    lac_scores,
)
from vlm_confidence_tasks.metrics.functional.cross_fitting import second_half
from vlm_confidence_tasks.metrics.functional.error_detection import (
    LogisticPair,
    best_pair,
    logistic_pair,
)
from vlm_confidence_tasks.metrics.functional.recalibration import (
    apply_temperature,
    fit_temperature,
    isotonic,
)
from vlm_confidence_tasks.metrics.functional.selective import acceptance_threshold
from vlm_confidence_tasks.metrics.sample import Value

Side = Literal["clean", "perturbed"]
# The signal that others are held against.
BASE = "confidence"
Values = Sequence[Value]


@dataclass(frozen=True)
class Table:
    """Numbers of answers.

    Attributes:
        owner: Which value each answer is of, [N].
        columns: Numbers by name, [N] each.
    """

    owner: Ints
    columns: dict[str, Floats]

    def sums(self, name: str, values: int) -> Floats:
        """Add a column's numbers of each value up, [values]."""
        found: Floats = np.bincount(self.owner, self.columns[name], values).astype(np.float64)
        return found


@dataclass(frozen=True)
class CrossFit:
    """What is to be fitted, and where.

    Attributes:
        halves: Whether each value's image is in the second half, [V].
        source: The value of each row that is fitted on, [M].
        target: The value of each row that it is applied to, [N].
        fit: Takes a half and which of the M rows are in it; returns None if it cannot be done.
        apply: Takes what was fitted and which of the N rows are in the other half.
    """

    halves: Bools
    source: Ints
    target: Ints
    fit: Callable[[bool, Bools], Any]
    apply: Callable[[Any, Bools], dict[str, Floats]]

    def table(self, kept: Bools | None = None) -> Table | None:
        """Fit on each half and apply to the other, on all values or on some, [V]."""
        kept = np.ones(self.halves.size, dtype=np.bool_) if kept is None else kept
        owners, parts = [], []
        for half in (False, True):
            there = (self.halves == half) & kept
            here = ((self.halves != half) & kept)[self.target]
            rows = there[self.source]
            fitted = self.fit(half, rows) if rows.any() else None
            if fitted is None:
                return None
            owners.append(self.target[here])
            parts.append(self.apply(fitted, here))
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        found = Table(np.concatenate(owners), columns)
        return found if found.owner.size else None


@dataclass(frozen=True)
class _Rows:
    """One side's answers: their values' numbers, [N], and what is in the lists, in rows."""

    owner: Ints
    probs: Floats
    label: Ints
    gold: Ints
    uniform: Floats

    def __getitem__(self, which: Bools) -> _Rows:
        return _Rows(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def _distributions(values: Values, side: Side, once: bool = False) -> _Rows:
    """Join the probabilities of a side, the clean ones as often as they count or once."""
    lists = [value[side] for value in values]
    owner, each = _counted(values, lists, side, once)
    rows = list(chain.from_iterable(lists))
    labels = _joined([value[f"{side}_answer"] for value in values]).astype(np.intp)
    sizes = np.fromiter(map(len, rows), np.intp, len(rows))
    probs = np.full((sizes.size, sizes.max(initial=1)), np.nan)
    probs[np.arange(probs.shape[1]) < sizes[:, None]] = _joined(rows)
    gold, uniform = _column("gold", values).astype(np.intp), _column("uniform", values)
    if each is not None:
        probs, labels = np.repeat(probs, each, axis=0), np.repeat(labels, each)
    return _Rows(owner, probs, labels, gold[owner], uniform[owner])


def _pairs(values: Values, side: Side, once: bool = False) -> tuple[Ints, Floats, Floats]:
    """Join owner, confidence and correctness of a side, likewise."""
    lists = [value[side] for value in values]
    owner, each = _counted(values, lists, side, once)
    sure, right = _joined(lists), _joined([value[f"{side}_correct"] for value in values])
    return (owner, sure, right) if each is None else (owner, sure.repeat(each), right.repeat(each))


def _joined(lists: Sequence[Sequence[float]]) -> Floats:
    return np.fromiter(chain.from_iterable(lists), np.float64)


def _counted(
    values: Values, lists: Sequence[Sequence[Any]], side: Side, once: bool
) -> tuple[Ints, Ints | None]:
    """Return the value of each answer that counts, and how often each listed one does."""
    sizes = np.fromiter(map(len, lists), np.intp, len(lists))
    owner = np.repeat(np.arange(len(values)), sizes)
    if once or side == "perturbed":
        return owner, None
    each = _column("n", values).astype(np.intp)[owner]
    return np.repeat(owner, each), each


def _column(key: str, values: Values) -> Floats:
    return np.fromiter(map(itemgetter(key), values), np.float64, len(values))


def _halves(values: Values) -> Bools:
    return second_half([value["image_id"] for value in values])


def clean_distributions(values: Values) -> tuple[Floats, Ints, Ints]:
    """Return label probabilities and right label of all clean answers, each once, and values."""
    rows = _distributions(values, "clean", once=True)
    return rows.probs, rows.gold, rows.owner


def scaled(side: Side, values: Values) -> CrossFit:
    """Confidence, correctness, Brier score and -ln p(right label) after temperature scaling."""
    clean, shown = _distributions(values, "clean", once=True), _distributions(values, side)

    def fit(half: bool, rows: Bools) -> float | None:
        return fit_temperature(clean.probs[rows], clean.gold[rows])

    def apply(found: float, rows: Bools) -> dict[str, Floats]:
        part = shown[rows]
        each = np.arange(part.owner.size)
        probs = apply_temperature(part.probs, found) if each.size else part.probs
        nll = -np.log(np.maximum(probs[each, part.gold], SMALLEST_PROBABILITY))
        return {**_judged(probs[each, part.label], part.label == part.gold), "nll": nll}

    return CrossFit(_halves(values), clean.owner, shown.owner, fit, apply)


def repaired(side: Side, values: Values) -> CrossFit:
    """Confidence, correctness and Brier score after isotonic regression."""
    owner, sure, right = _pairs(values, "clean", once=True)
    shown, stated, hit = _pairs(values, side)

    def fit(half: bool, rows: Bools) -> tuple[Floats, Floats]:
        return sure[rows], right[rows]

    def apply(found: tuple[Floats, Floats], rows: Bools) -> dict[str, Floats]:
        return _judged(isotonic(*found, stated[rows]), hit[rows])

    return CrossFit(_halves(values), owner, shown, fit, apply)


def _judged(sure: Floats, right: Floats | Bools) -> dict[str, Floats]:
    correct = right.astype(np.float64)
    losses = (sure - correct) ** 2
    return {"confidence": sure, "correct": correct, "brier": losses, "one": np.ones(sure.size)}


def lac_sets(side: Side, values: Values) -> CrossFit:
    """Whether the right label is in each answer's LAC set, and how many labels are."""
    return _sets(lambda rows: lac_scores(rows.probs), side, values)


def aps_sets(side: Side, values: Values) -> CrossFit:
    """The same of APS sets; all variants of a document share its random number."""
    return _sets(lambda rows: aps_scores(rows.probs, rows.uniform), side, values)


def _sets(score: Callable[[_Rows], Floats], side: Side, values: Values) -> CrossFit:
    clean, shown = _distributions(values, "clean", once=True), _distributions(values, side)
    right, scores = (score(rows) if rows.owner.size else rows.probs for rows in (clean, shown))
    right = right[np.arange(clean.owner.size), clean.gold]
    images = np.unique([value["image_id"] for value in values], return_inverse=True)[1]
    one = np.arange(shown.owner.size)
    covering = scores[one, shown.gold]

    def fit(half: bool, rows: Bools) -> float | None:
        return conformal_threshold(right[rows], images[clean.owner[rows]])

    def apply(threshold: float, rows: Bools) -> dict[str, Floats]:
        return {
            "covered": (covering[rows] <= threshold).astype(np.float64),
            "size": (scores[rows] <= threshold).sum(axis=1).astype(np.float64),
            "one": np.ones(np.count_nonzero(rows)),
        }

    return CrossFit(_halves(values), clean.owner, shown.owner, fit, apply)


def accepted(side: Side, values: Values) -> CrossFit:
    """Whether each answer is given, and whether it is given and wrong."""
    owner, sure, _ = _pairs(values, "clean", once=True)
    shown, confidence, hit = _pairs(values, side)

    def fit(half: bool, rows: Bools) -> float:
        return acceptance_threshold(sure[rows])

    def apply(threshold: float, rows: Bools) -> dict[str, Floats]:
        given = (confidence[rows] >= threshold).astype(np.float64)
        return {"given": given, "wrong": given * (1.0 - hit[rows]), "one": np.ones(given.size)}

    return CrossFit(_halves(values), owner, shown, fit, apply)


def joined_signals(values: Values) -> CrossFit:
    """The chance of an error by the two best signals, and whether it is one.

    Of documents that have every signal that any document has; with 1 - confidence, if that is
    one of these. On some of the values the signals are those that are best on all of them.
    """
    names = _names(values)
    owner, halves = _having(names, values), _halves(values)
    found = _signals(names, owner, values)
    table, wrong = np.column_stack([found[name] for name in names]), found["wrong"]
    best = [_best(table, wrong, halves[owner] == half) for half in (False, True)]

    def fit(half: bool, rows: Bools) -> LogisticPair | None:
        chosen = best[half]
        return None if chosen is None else logistic_pair(table[rows], wrong[rows], chosen.columns)

    def apply(pair: LogisticPair, rows: Bools) -> dict[str, Floats]:
        shown = {name: found[name][rows] for name in found if name in ("wrong", BASE)}
        return {**shown, "signal": pair.chance(table[rows])}

    return CrossFit(halves, owner, owner, fit, apply)


def best_signals(values: Values) -> list[tuple[str, ...]]:
    """Return the names of the two signals that `joined_signals` takes of each half."""
    names = _names(values)
    owner, halves = _having(names, values), _halves(values)
    found = _signals(names, owner, values)
    table = np.column_stack([found[name] for name in names])
    pairs = (_best(table, found["wrong"], halves[owner] == half) for half in (False, True))
    return [tuple(names[n] for n in pair.columns) for pair in pairs if pair is not None]


def _names(values: Values) -> list[str]:
    return sorted({name for value in values for name in value["signals"]})


def _best(table: Floats, wrong: Floats, rows: Bools) -> LogisticPair | None:
    return best_pair(table[rows], wrong[rows]) if rows.any() else None


def one_signal(name: str, values: Values) -> Table | None:
    """Return a signal of an error, and whether the answer is wrong."""
    return _against([name], values)


def signal_and_confidence(name: str, values: Values) -> Table | None:
    """Return a signal, 1 - confidence and whether the answer is wrong, where there are both."""
    return _against([name, BASE], values)


def _against(names: Sequence[str], values: Values) -> Table | None:
    owner = _having(names, values)
    found = _signals(names, owner, values)
    return Table(owner, {**found, "signal": found[names[0]]}) if owner.size else None


def _having(names: Sequence[str], values: Values) -> Ints:
    """Return which values have all of some signals."""
    shown = [n for n, value in enumerate(values) if value["signals"].keys() >= set(names)]
    return np.array(shown, dtype=np.intp)


def _signals(names: Sequence[str], owner: Ints, values: Values) -> dict[str, Floats]:
    """Return signals by name, and "wrong", of some of the values."""
    some = [values[n] for n in owner]
    found = {name: _column(name, [value["signals"] for value in some]) for name in names}
    return {**found, "wrong": _column("wrong", some)}
