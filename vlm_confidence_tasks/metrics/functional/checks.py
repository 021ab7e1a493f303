"""Checks of arguments; a bad value raises here, and the message names it."""

from __future__ import annotations

from collections.abc import Sequence, Sized

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]


def vector(name: str, values: ArrayLike, low: float = -np.inf, high: float = np.inf) -> Floats:
    """Return `values` as a float vector of finite numbers in [low, high].

    Raises:
        ValueError: `values` is empty or not one-dimensional, or one of them is NaN,
            infinite or out of range.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a non-empty vector, got shape {array.shape}")
    bad = ~(np.isfinite(array) & (array >= low) & (array <= high))
    if bad.any():
        raise ValueError(
            f"{name} must be finite numbers in [{low}, {high}], "
            f"got {array[bad][0]} at index {np.flatnonzero(bad)[0]}"
        )
    return array


def flags(name: str, values: ArrayLike) -> Bools:
    """Return `values` as a bool vector.

    Raises:
        ValueError: `values` is empty or not one-dimensional, or one of them is
            neither 0 nor 1.
    """
    array = vector(name, values)
    bad = (array != 0) & (array != 1)
    if bad.any():
        raise ValueError(f"{name} must hold 0 and 1 only, got {array[bad][0]}")
    return array.astype(np.bool_)


def any_number(table: Floats) -> Bools:
    """Return which rows of a table hold a number that is not NaN, [N]."""
    found: Bools = np.logical_or.reduce(~np.isnan(table.T))
    return found


def all_numbers(columns: Sequence[Floats]) -> Bools:
    """Return where none of some columns, [N] each, is NaN, [N]."""
    found: Bools = ~np.any(np.isnan(columns), axis=0)
    return found


def same_length(**columns: Sized) -> None:
    """Raise unless all columns have one length.

    Raises:
        ValueError: They have not; the message gives each length.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of different lengths: {lengths}")


def answered(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Bools]:
    """Return the two columns of calibration, checked.

    Raises:
        ValueError: See `vector` and `flags`, or the lengths differ.
    """
    checked = vector("confidence", confidence, 0.0, 1.0), flags("correct", correct)
    same_length(confidence=checked[0], correct=checked[1])
    return checked


def positive_integer(name: str, value: int) -> int:
    """Return `value` if it is at least 1.

    Raises:
        ValueError: It is not.
    """
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value
