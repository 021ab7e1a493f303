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


@dataclass(frozen=True)
class LogisticPair:
    """A logistic regression of errors on two signals.

    Attributes:
        columns: Which two signals, [2].
        centre: Their means, [2].
        scale: Their standard deviations, [2]; 1 of a constant signal.
        weights: Of both standardised signals, and the intercept, [3].
        loss: Mean log loss where it was fitted, in nats.
    """

    columns: Ints
    centre: Floats
    scale: Floats
    weights: Floats
    loss: float

    def chance(self, signals: ArrayLike) -> Floats:
        """Return the fitted chance of an error of each row of all signals, [N]."""
        rows = (np.asarray(signals)[:, self.columns] - self.centre) / self.scale
        chances: Floats = expit(rows @ self.weights[:2] + self.weights[2])
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
) -> LogisticPair | None:
    """Fit a logistic regression to two signals, as `best_pair` does to each two.

    Args:
        signals: One number a signal and answer, [N, S].
        wrong: Whether each answer is wrong, [N].
        columns: Which two signals, [2].
        near: The fit to nearly the same answers, from which fewer steps are needed.
    """
    table, errors = np.asarray(signals, dtype=np.float64), flags("wrong", wrong)
    if table.ndim != 2:
        raise ValueError(f"signals must be [N, S], got shape {table.shape}")
    same_length(signals=table, wrong=errors)
    if errors.all() or not errors.any():
        return None
    chosen = table[:, list(columns)]
    vector("signals", chosen.ravel())
    start = np.zeros(3) if near is None else near.weights.copy()
    return _fit(chosen, errors, np.array(columns, dtype=np.intp), start)


def _fit(chosen: Floats, wrong: Bools, columns: Ints, weights: Floats) -> LogisticPair:
    centre, spread = chosen.mean(axis=0), chosen.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    # [3, N], so that sums over answers run along memory.
    rows = np.vstack([((chosen - centre) / scale).T, np.ones(len(chosen))])
    penalty = np.array([1.0, 1.0, 0.0])
    for _ in range(_STEPS):
        chance = expit(weights @ rows)
        slope = rows @ (chance - wrong) + penalty * weights
        curvature = (rows * (chance * (1.0 - chance))) @ rows.T + np.diag(penalty)
        # Within reach, so that a step from a flat place does not leave the others behind.
        step = np.linalg.solve(curvature + 1e-12 * np.eye(3), slope)
        weights -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-300))
        if np.abs(step).max() < 1e-10:
            break
    chance = expit(weights @ rows)
    loss = -float(np.mean(xlogy(wrong, chance) + xlogy(~wrong, 1.0 - chance)))
    return LogisticPair(columns, centre, scale, weights, loss)
