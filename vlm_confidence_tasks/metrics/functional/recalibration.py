"""Confidence repaired on answers whose correctness is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints, answered, same_length

# Beyond these, answers are so good or so bad that no temperature is the best one.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.01, 100.0
# The distance of 1 to the float32 below it: a confidence of exactly 1 says no more than that
# all other labels together have less.
LEAST_PROBABILITY = 2.0**-24
# Its logarithm is found to this accuracy; halving alone needs under 50 steps.
_CLOSE, _STEPS = 1e-13, 100


def distributions(probs: ArrayLike) -> Floats:
    """Return the labels' probabilities as [N, L], NaN where a question has fewer than L labels.

    Raises:
        ValueError: Another shape, no rows, or a probability outside [0, 1].
    """
    table = np.asarray(probs, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"probs must be [N, L] with rows, got shape {table.shape}")
    if ((table < 0.0) | (table > 1.0)).any() or np.isnan(table).all(axis=1).any():
        raise ValueError("probs must be in [0, 1], with at least one in each row")
    return table


def indices(name: str, labels: ArrayLike, probs: Floats) -> Ints:
    """Return the number of each row's label, [N].

    Raises:
        ValueError: Not one a row, or not that of a label with a probability.
    """
    column = np.asarray(labels)
    same_length(**{name: column, "probs": probs})
    inside = (column >= 0) & (column < probs.shape[1])
    if not inside.all() or np.isnan(probs[np.arange(len(column)), column]).any():
        raise ValueError(f"{name} must be indices of labels with a probability, got {column}")
    return column.astype(np.intp)


def fit_temperature(probs: ArrayLike, gold: ArrayLike, kept: ArrayLike = True) -> Floats | None:
    """Fit the temperature that makes right labels likeliest.

    T > 0 minimises the mean of -ln q[gold] with q = probs^(1/T) / sum(probs^(1/T)). This loss
    is convex in 1/T with the slope mean(E_q[ln p] - ln p[gold]), whose zero is found between
    0.01 and 100. A probability under 2^-24 counts as that, for beside one of exactly 1 nothing
    less is known: of answers that are this sure the temperature is in units of that bound.

    Args:
        probs: Probability of each label, [N, L]; NaN where a question has fewer labels.
        gold: Index of the right one, [N].
        kept: Which answers count, [..., N]: selections, quickly fitted if they are much alike.

    Returns:
        T of each selection, [...], over 1 of an overconfident model; None if of one no temperature
        between the bounds is best: of no answers, of all right ones, or of guesses.

    Raises:
        ValueError: See `distributions` and `indices`.

    Source: Guo et al. 2017, section 4.2.

    >>> round(float(fit_temperature([[0.9, 0.1]] * 4, [0, 0, 0, 1])), 3)
    2.0
    >>> fit_temperature([[0.9, 0.1]] * 4, [0, 0, 0, 0]) is None
    True
    """
    table = distributions(probs)
    right = indices("gold", gold, table)
    # [L, N], so that sums over labels run along memory.
    logits = np.ascontiguousarray(_logits(table).T)
    logits -= logits[right, np.arange(len(right))]
    finite = np.where(np.isfinite(logits), logits, 0.0)
    below = logits - logits.max(axis=0)

    selections = np.broadcast_to(kept, (*np.shape(kept)[:-1], len(right)))
    found: list[float] = []
    for rows in selections.reshape(-1, len(right)):
        near = -np.log(found[-1]) if found else 0.0
        own, under = finite.compress(rows, axis=1), below.compress(rows, axis=1)
        fitted = _temperature(own, under, near) if rows.any() else None
        if fitted is None:
            return None
        found.append(fitted)
    temperatures: Floats = np.reshape(found, selections.shape[:-1])[()]
    return temperatures


def _temperature(logits: Floats, below: Floats, near: float) -> float | None:
    """Fit one temperature, from the logarithm of an inverse one that is near.

    Args:
        logits: ln p less that of the right label, [L, N]; 0 where there is no label.
        below: ln p less that of the likeliest label, [L, N].
        near: Where to begin.
    """

    def slope(log_inverse: float) -> tuple[float, float]:
        """Return the slope of the loss, and that slope's own."""
        inverse = np.exp(log_inverse)
        weights = np.exp(inverse * below)
        weights /= weights.sum(axis=0)
        mean = np.einsum("ln,ln->n", weights, logits)
        spread = np.einsum("ln,ln,ln->n", weights, logits, logits) - mean**2
        return float(mean.mean()), float(inverse * spread.mean())

    low, high = -np.log([HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE])
    if not slope(low)[0] < 0.0 < slope(high)[0]:
        return None
    return float(np.exp(-_root(slope, low, high, near)))


def _root(
    rising: Callable[[float], tuple[float, float]], low: float, high: float, at: float
) -> float:
    """Return where a function rises through 0, by Newton's steps, and halves where these leave."""
    for _ in range(_STEPS):
        value, rise = rising(at)
        low, high = (at, high) if value < 0.0 else (low, at)
        after = at - value / rise if rise > 0.0 else np.inf
        after = after if low <= after <= high else (low + high) / 2.0
        moved, at = abs(after - at), after
        if moved < _CLOSE:
            break
    return at


def apply_temperature(probs: ArrayLike, temperature: float) -> Floats:
    """Return probs^(1/T) / sum(probs^(1/T)) of each row, [N, L]; NaN stays.

    A probability under 2^-24 counts as that, as in `fit_temperature`.

    Args:
        probs: As of `fit_temperature`.
        temperature: T > 0.

    Raises:
        ValueError: As of `fit_temperature`, or T is not positive.

    >>> apply_temperature([[0.9, 0.1]], 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    table = distributions(probs)
    if not temperature > 0.0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    logits = _logits(table)
    weights = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    scaled: Floats = weights / weights.sum(axis=1, keepdims=True)
    return np.where(np.isnan(table), np.nan, scaled)


def _logits(table: Floats) -> Floats:
    """Return ln p, -inf where there is no label."""
    return np.where(np.isnan(table), -np.inf, np.log(np.maximum(table, LEAST_PROBABILITY)))


def isotonic(confidence: ArrayLike, correct: ArrayLike, new: ArrayLike) -> Floats:
    """Return new confidences repaired by the rising function that fits some answers best.

    The function minimises sum (f(confidence) - correct)^2 over rising f; it is linear between
    the confidences that it was fitted on, and constant beyond them.

    Args:
        confidence: Of the answers it is fitted on, [N].
        correct: Whether these are right, [N].
        new: The confidences to repair, [M].

    Returns:
        Confidences in [0, 1], [M].

    Raises:
        ValueError: See `answered`.

    Source: Zadrozny and Elkan 2002.

    >>> isotonic([0.5, 0.7, 0.9, 0.9], [0, 1, 1, 0], [0.1, 0.6, 1.0]).round(3).tolist()
    [0.0, 0.333, 0.667]
    """
    sure, right = answered(confidence, correct)
    place, index, count = np.unique(sure, return_inverse=True, return_counts=True)
    share = np.bincount(index, right) / count
    fitted = isotonic_regression(share, weights=count).x
    repaired: Floats = np.interp(np.asarray(new, dtype=np.float64), place, fitted)
    return repaired
