"""Independent definitions over whole columns, which the metrics are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

Answer = str | None


def flip_rate(clean: Sequence[Answer], variants: Sequence[Sequence[Answer]]) -> float | None:
    """Share of instances whose answer is not the clean one."""
    flips = [a != base for base, row in zip(clean, variants, strict=True) for a in row]
    return float(np.mean(flips)) if flips else None


def document_flip_rate(
    clean: Sequence[Answer], variants: Sequence[Sequence[Answer]]
) -> float | None:
    """Share of documents, of those with variants, any of whose answers is not the clean one."""
    rows = [(base, row) for base, row in zip(clean, variants, strict=True) if row]
    return float(np.mean([set(row) != {base} for base, row in rows])) if rows else None


def change_rate(before: ArrayLike, after: ArrayLike, value: object) -> float | None:
    """Share of instances with `value` before that have another after."""
    before, after = np.asarray(before), np.asarray(after)
    there = before == value
    return float(np.mean(after[there] != value)) if there.any() else None


def correction_rate(
    gold: Sequence[str], clean: Sequence[Answer], answers: Sequence[Answer], wanted: str, wrong: str
) -> float | None:
    """Share answered `wanted`, of instances with that gold and the clean answer `wrong`."""
    rows = zip(gold, clean, answers, strict=True)
    fixed = [answer == wanted for right, base, answer in rows if (right, base) == (wanted, wrong)]
    return float(np.mean(fixed)) if fixed else None


def dirichlet_energy(grid: ArrayLike) -> float:
    """Mean squared difference between 4-neighbours of a grid of vectors, [H, W, D]."""
    x = np.asarray(grid, dtype=np.float64)
    height, width, _ = x.shape
    points = [(i, j) for i in range(height) for j in range(width)]
    below = [((i, j), (i + 1, j)) for i, j in points if i + 1 < height]
    beside = [((i, j), (i, j + 1)) for i, j in points if j + 1 < width]
    return float(np.mean([np.square(x[a] - x[b]).sum() for a, b in below + beside]))
