"""Two signals of an error joined into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, xlogy

from vlm_confidence_tasks.metrics.functional.checks import (
    Bools,
    Floats,
    Ints,
    flags,
    same_length,
    vector,
)

# Newton's steps; the loss of a penalised logistic regression is convex, and few are needed.
_STEPS = 50
# A variance under this share of that of all answers is rounding.
_CONSTANT = 1e-24


@dataclass(frozen=True)
class LogisticPair:
    """A logistic regression of errors on two signals, on each of some selections of answers.

    Attributes:
        columns: Which two signals, [2].
        centre: Their means, of all answers, [2].
        scale: Their standard deviations, [2]; 1 of a constant signal.
        weights: Of both signals so standardised, and the intercept, [..., 3].
        loss: Mean log loss where it was fitted, in nats, [...].
    """

    columns: Ints
    centre: Floats
    scale: Floats
    weights: Floats
    loss: Floats

    def chance(self, signals: ArrayLike) -> Floats:
        """Return the fitted chance of an error of each row of all signals, [..., N]."""
        rows = (np.asarray(signals, dtype=np.float64)[:, self.columns] - self.centre) / self.scale
        first, second, intercept = (self.weights[..., n, None] for n in range(3))
        # Element by element, so that equal rows have equal chances.
        chances: Floats = expit(first * rows[:, 0] + second * rows[:, 1] + intercept)
        return chances


def best_pair(signals: ArrayLike, wrong: ArrayLike) -> LogisticPair | None:
    """Fit a logistic regression to every two signals, and return that of the least loss.

    Signals are standardised; the weights, not the intercept, have the penalty |w|^2 / 2 on the
    sum of log losses, so that errors which are told apart perfectly have a solution.

    Args:
        signals: One number a signal and answer, [N, S].
        wrong: Whether each answer is wrong, [N].

    Returns:
        None of under two signals, or if there are only wrong or only right answers. Of equal
        losses the first two.

    Raises:
        ValueError: Another shape, or a number that is not finite.

    Source: Hastie, Tibshirani and Friedman 2009, section 4.4.

    >>> found = best_pair([[0.1, 5.0, 1.0], [0.2, 5.0, 2.0], [0.9, 5.0, 2.1]], [0, 0, 1])
    >>> found.columns.tolist()
    [0, 2]
    """
    columns = range(np.asarray(signals).shape[-1])
    fitted = [logistic_pair(signals, wrong, pair) for pair in combinations(columns, 2)]
    found = [pair for pair in fitted if pair is not None]
    return min(found, key=lambda pair: pair.loss) if found else None


def logistic_pair(
    signals: ArrayLike,
    wrong: ArrayLike,
    columns: Sequence[int] | Ints,
    near: LogisticPair | None = None,
    kept: ArrayLike = True,
) -> LogisticPair | None:
    """Fit a logistic regression to two signals, as `best_pair` does to each two.

    Args:
        signals: One number a signal and answer, [N, S].
        wrong: Whether each answer is wrong, [N].
        columns: Which two signals, [2].
        near: The fit to nearly the same answers, from which fewer steps are needed.
        kept: Which answers count, [..., N]: selections.

    Returns:
        None if a selection has only wrong or only right answers.
    """
    table, errors = np.asarray(signals, dtype=np.float64), flags("wrong", wrong)
    if table.ndim != 2:
        raise ValueError(f"signals must be [N, S], got shape {table.shape}")
    same_length(signals=table, wrong=errors)
    selections = np.broadcast_to(kept, (*np.shape(kept)[:-1], errors.size))
    if not all((selections & event).any(axis=-1).all() for event in (errors, ~errors)):
        return None
    chosen = table[:, list(columns)]
    vector("signals", chosen.ravel())
    start = np.zeros(3) if near is None else near.weights
    weights = np.broadcast_to(start, (*selections.shape[:-1], 3))
    return _fit(chosen, errors, selections.astype(np.float64), np.array(columns), weights)


def _fit(
    chosen: Floats, wrong: Bools, kept: Floats, columns: Ints, weights: Floats
) -> LogisticPair:
    centre, spread = chosen.mean(axis=0), chosen.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    # [3, N], so that sums over answers run along memory.
    rows = np.vstack([((chosen - centre) / scale).T, np.ones(len(chosen))])
    products = (rows[:, None] * rows).reshape(9, -1).T
    penalty = _variances(rows, kept) * [1.0, 1.0, 0.0]
    for _ in range(_STEPS):
        chance = expit(weights @ rows)
        slope = ((chance - wrong) * kept) @ rows.T + penalty * weights
        curvature = ((chance * (1.0 - chance) * kept) @ products).reshape(*weights.shape, 3)
        curvature += (penalty[..., None] + 1e-12) * np.eye(3)
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        # Within reach, so that a step from a flat place does not leave the others behind.
        largest = np.abs(step).max(axis=-1, keepdims=True)
        weights = weights - step * np.minimum(1.0, 5.0 / np.maximum(largest, 1e-300))
        if largest.max() < 1e-10:
            break
    chance = expit(weights @ rows)
    losses = xlogy(kept, np.where(wrong, chance, 1.0 - chance)).sum(axis=-1)
    return LogisticPair(columns, centre, scale, weights, -losses / kept.sum(axis=-1))


def _variances(rows: Floats, kept: Floats) -> Floats:
    """Return the variance of each row in each selection, [..., 3]; 1 of a constant one."""
    size = kept.sum(axis=-1, keepdims=True)
    away = rows - (kept @ rows.T / size)[..., None]
    variance = np.einsum("...n,...in,...in->...i", kept, away, away) / size
    return np.where(variance > _CONSTANT, variance, 1.0)
