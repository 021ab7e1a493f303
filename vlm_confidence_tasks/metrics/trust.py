"""From what was fitted on half of the images to one number and its interval.

Repaired confidences have the intervals of unrepaired ones, with what was fitted on the other
half taken as given. Shares behind a threshold, sizes of sets and joined signals depend more on
what was fitted: there it is fitted anew without each group of images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from vlm_confidence_tasks.metrics.cross_fitted import (
    BASE,
    CrossFit,
    Side,
    Table,
    best_signals,
    clean_distributions,
    scaled,
)
from vlm_confidence_tasks.metrics.extractors.trust import (
    LABELS,
    SIGNALS,
    distributions,
    price,
    signals,
)
from vlm_confidence_tasks.metrics.functional.calibration import expected_calibration_error
from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.functional.ranking import auroc, auroc_of_ranks, dense_ranks
from vlm_confidence_tasks.metrics.functional.recalibration import fit_temperature
from vlm_confidence_tasks.metrics.inference.calibration_error import calibration_error_interval
from vlm_confidence_tasks.metrics.inference.clusters import (
    FEWEST_CLUSTERS,
    Interval,
    seen_on,
    sides,
)
from vlm_confidence_tasks.metrics.inference.jackknife import (
    Scale,
    deleted_interval,
    deletions,
    jackknife_interval,
    ranking_interval,
)
from vlm_confidence_tasks.metrics.inference.means import mean_interval
from vlm_confidence_tasks.metrics.inference.rare_errors import loss_interval
from vlm_confidence_tasks.metrics.inference.rates import rate_interval
from vlm_confidence_tasks.metrics.intervals import Columns
from vlm_confidence_tasks.metrics.reducers import Values
from vlm_confidence_tasks.metrics.sample import Sample

MakeFit = Callable[[Values], CrossFit]
MakeTable = Callable[[Values], Table | None]


def scaled_answers(
    samples: Sequence[Sample], side: Side
) -> tuple[Floats, Floats, list[str]] | None:
    """Return confidence by the other half's temperature, correctness and image of answers.

    None where there is no temperature.
    """
    found = (distributions(LABELS, sample) for sample in samples)
    values = [value for value in found if value is not None]
    table = scaled(side, values).table() if values else None
    if table is None:
        return None
    images = [values[owner]["image_id"] for owner in table.owner]
    return table.columns["confidence"], table.columns["correct"], images


def signal_prices(samples: Sequence[Sample]) -> dict[str, float]:
    """Return how many answers each signal of an error takes, on average over documents.

    "pair" has the joint price of the two signals that are best on a half, the mean of both halves.
    """
    held = [(sample, value) for sample in samples if (value := signals(sample)) is not None]
    values = [value for _, value in held]
    found = {}
    for name in SIGNALS:
        prices = [price([name], sample) for sample, value in held if name in value["signals"]]
        if prices:
            found[name] = math.fsum(prices) / len(prices)
    pairs = best_signals(values) if values else []
    if pairs:
        prices = [price(pair, sample) for pair in pairs for sample, _ in held]
        found["pair"] = math.fsum(prices) / len(prices)
    return found


def ratio(make: MakeFit, values: Values, *, above: str, below: str = "one") -> float | None:
    """Sum of one column over the sum of another, such as wrong answers over given ones."""
    return _ratio(_fitted(make, values), above, below, add=math.fsum)


def _ratio(
    table: Table | None, above: str, below: str, add: Callable[[Floats], float] = np.sum
) -> float | None:
    total = 0.0 if table is None else add(table.columns[below])
    return float(add(table.columns[above]) / total) if table and total else None


def calibration_error(make: MakeFit, values: Values) -> float | None:
    """ECE of repaired confidences."""
    return _error(_fitted(make, values))


class _Same:
    """Values that equal themselves alone, so that what is fitted on them can be kept."""

    def __init__(self, values: Values) -> None:
        self.values = values

    def __hash__(self) -> int:
        return id(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.values is self.values


# Of a fit's metrics, clean and perturbed, each takes it for its number and for its interval.
@lru_cache(maxsize=8)
def _fit(make: MakeFit, same: _Same) -> CrossFit:
    return make(same.values)


@lru_cache(maxsize=8)
def _table(make: MakeFit, same: _Same) -> Table | None:
    return _fit(make, same).table()


def _fitted(make: MakeFit, values: Values) -> Table | None:
    return _table(make, _Same(values)) if values else None


def _error(table: Table | None) -> float | None:
    if table is None:
        return None
    confidence, correct = table.columns["confidence"], table.columns["correct"]
    # In one order, so that rounding is the same.
    order = np.lexsort((correct, confidence))
    return expected_calibration_error(confidence[order], correct[order])


def error_auroc(make: MakeTable, values: Values) -> float | None:
    """AUROC of a signal for wrong answers."""
    return _auroc(make(values) if values else None)


def auroc_gain(make: MakeTable, values: Values) -> float | None:
    """That AUROC less the one of 1 - confidence for the same answers."""
    return _gain(make(values) if values else None)


def pair_auroc(make: MakeFit, values: Values) -> float | None:
    """AUROC of two signals joined."""
    return _auroc(_fitted(make, values))


def pair_gain(make: MakeFit, values: Values) -> float | None:
    """That AUROC less the one of 1 - confidence for the same answers."""
    return _gain(_fitted(make, values))


def _auroc(table: Table | None, signal: str = "signal") -> float | None:
    if table is None or signal not in table.columns:
        return None
    return auroc(table.columns[signal], table.columns["wrong"])


def _gain(table: Table | None) -> float | None:
    one, base = _auroc(table), _auroc(table, BASE)
    return None if one is None or base is None else one - base


def temperature(values: Values) -> float | None:
    """Temperature of all clean answers, each once."""
    probs, gold, _ = clean_distributions(values)
    return fit_temperature(probs, gold) if gold.size else None


def of_temperature(columns: Columns) -> Interval | None:
    """Interval of the temperature, by the jackknife on its logarithm."""
    probs, gold, owner = clean_distributions(columns.values)
    if not gold.size:
        return None

    def without(rows: Ints) -> float | None:
        return fit_temperature(probs[rows], gold[rows])

    return jackknife_interval(without, **columns.of(owner), scale="log")


def of_error(make: MakeFit, columns: Columns) -> Interval | None:
    """Interval of the ECE of repaired confidences, by inverting a test."""
    found = _joined(_tables(partial(_fitted, make), columns), columns)
    estimate = columns.difference(partial(calibration_error, make))
    if estimate is None or found is None:
        return None
    numbers, of = found
    return calibration_error_interval(
        numbers["confidence"], numbers["correct"], estimate=estimate, kind="uniform", **of
    )


def of_mean(make: MakeFit, columns: Columns, *, above: str) -> Interval | None:
    """Interval of a mean of positive numbers, by the studentized bootstrap."""
    tables = _tables(partial(_fitted, make), columns)
    return _of_sums(_positive_mean(columns), tables, columns, above, "one")


def of_loss(make: MakeFit, columns: Columns, *, above: str) -> Interval | None:
    """Interval of a mean of losses in [0, 1], of which rare errors may be most."""
    tables = _tables(partial(_fitted, make), columns)
    return _of_sums(loss_interval, tables, columns, above, "one")


def of_share(make: MakeFit, columns: Columns, *, above: str, below: str = "one") -> Interval | None:
    """Interval of a share that depends on a threshold.

    By the jackknife, which sets the threshold anew without each group of images; widened to
    Korn and Graubard's at this threshold, which alone is taken where no group moves the share.
    """
    return _refitted(rate_interval, "logit", make, columns, above, below)


def of_size(make: MakeFit, columns: Columns, *, above: str) -> Interval | None:
    """Interval of a mean that depends on a threshold, likewise; widened to the bootstrap's."""
    return _refitted(_positive_mean(columns), "identity", make, columns, above, "one")


def _positive_mean(columns: Columns) -> Callable[..., Interval | None]:
    return partial(mean_interval, within=(0.0 if columns.paired is None else -np.inf, np.inf))


def _refitted(
    given: Callable[..., Interval | None],
    scale: Scale,
    make: MakeFit,
    columns: Columns,
    above: str,
    below: str,
) -> Interval | None:
    tables = _without_groups(make, columns)
    numbers = [[_ratio(table, above, below) for table in each] for each in tables]
    if any(None in each for each in numbers):
        return None
    fixed = _of_sums(given, tables[0], columns, above, below)
    # Without some group a share may be 0 or 1, where the scale ends.
    moved = deleted_interval(numbers, scale) or deleted_interval(numbers)
    if fixed is None or moved is None:
        still = np.ptp(np.array(numbers, dtype=np.float64), axis=0).max() == 0
        return fixed if still else None
    low, high = min(moved.low, fixed.low), max(moved.high, fixed.high)
    if scale == "logit":
        low, high = max(low, -1.0 if columns.paired is not None else 0.0), min(high, 1.0)
    return Interval(fixed.estimate, low, high)


def of_error_auroc(make: MakeTable, columns: Columns) -> Interval | None:
    """Interval of a signal's AUROC, by the jackknife."""
    found = _joined(_tables(make, columns), columns)
    if found is None:
        return None
    numbers, of = found
    return ranking_interval(auroc_of_ranks, numbers["signal"], numbers["wrong"], **of)


def of_auroc_gain(make: MakeTable, columns: Columns) -> Interval | None:
    """Interval of what a signal's AUROC is above that of 1 - confidence, likewise."""
    found = _joined(_tables(make, columns), columns)
    if found is None or _few_errors(*found):
        return None
    numbers, of = found
    # Ranked once, as in `ranking_interval`.
    wrong = numbers["wrong"] > 0.0
    signal, base = (dense_ranks(numbers[name]) for name in ("signal", BASE))

    def gain(rows: Ints) -> float | None:
        found = (auroc_of_ranks(ranks[rows], wrong[rows]) for ranks in (signal, base))
        one, other = found
        return None if one is None or other is None else one - other

    return jackknife_interval(gain, **of)


def of_pair_auroc(make: MakeFit, columns: Columns) -> Interval | None:
    """Interval of the AUROC of two signals, whose weights are fitted anew in the jackknife."""
    return _of_pair(_auroc, "logit", make, columns)


def of_pair_gain(make: MakeFit, columns: Columns) -> Interval | None:
    """Interval of what that is above the AUROC of 1 - confidence, likewise."""
    return _of_pair(_gain, "identity", make, columns)


def _of_pair(
    measure: Callable[[Table | None], float | None], scale: Scale, make: MakeFit, columns: Columns
) -> Interval | None:
    tables = _without_groups(make, columns)
    found = _joined(tables[0], columns)
    if found is None or _few_errors(*found):
        return None
    return deleted_interval([[measure(table) for table in each] for each in tables], scale)


def _few_errors(numbers: dict[str, Floats], of: dict[str, Any]) -> bool:
    """Whether wrong, or right, answers are on too few images (`ranking_interval`)."""
    wrong = numbers["wrong"]
    seen = [seen_on(of["clusters"], event, of["paired"]) for event in (wrong, 1.0 - wrong)]
    return min(seen) < FEWEST_CLUSTERS


# The table of each run, of one or of two that are compared: each is fitted on its own.
Tables = Sequence[Table | None]


def _rows(columns: Columns) -> list[Ints]:
    """Return which of all values are of each run."""
    return [np.flatnonzero(side) for side in sides(columns.paired, len(columns.values))]


def _tables(make: MakeTable, columns: Columns) -> Tables:
    return [make(values) if values else None for values in columns.sides]


# Share and size, or risk and share, are of the same tables.
@lru_cache(maxsize=4)
def _without_groups(make: MakeFit, columns: Columns) -> Sequence[Tables]:
    """Fit on all values, then anew without each group of images, [1 + G], in each run."""
    fits = [_fit(make, _Same(values)) if values else None for values in columns.sides]
    rows, total = _rows(columns), len(columns.values)
    return [
        [
            None if fit is None else fit.table(np.bincount(some, minlength=total)[own] > 0)
            for fit, own, some in zip(fits, rows, kept, strict=True)
        ]
        for kept in deletions(columns.clusters, columns.paired)
    ]


def _joined(tables: Tables, columns: Columns) -> tuple[dict[str, Floats], dict[str, Any]] | None:
    """Return the numbers of all answers, and their images and runs; None without a table."""
    found = [table for table in tables if table is not None]
    if len(found) < len(tables):
        return None
    names = found[0].columns
    numbers = {name: np.concatenate([table.columns[name] for table in found]) for name in names}
    pairs = zip(found, _rows(columns), strict=True)
    return numbers, columns.of(np.concatenate([own[table.owner] for table, own in pairs]))


def _of_sums(
    interval: Callable[..., Interval | None],
    tables: Tables,
    columns: Columns,
    above: str,
    below: str,
) -> Interval | None:
    """Take the interval of a ratio of sums over documents, with what was fitted given."""
    found, rows = [table for table in tables if table is not None], _rows(columns)
    if len(found) < len(rows):
        return None
    each = list(zip(found, map(len, rows), strict=True))
    sums = [
        np.concatenate([table.sums(name, size) for table, size in each]) for name in (above, below)
    ]
    return interval(*sums, **columns.of(np.concatenate(rows)))
