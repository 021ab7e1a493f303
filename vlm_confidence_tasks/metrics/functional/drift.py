"""How far a perturbation moves vectors inside the model."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics.functional.checks import Floats, same_length, vector


def cosine_drift(clean: ArrayLike, moved: ArrayLike) -> float | None:
    """1 - cos(clean, moved), in [0, 2].

    Computed as |u - v|^2 / 2 of the unit vectors u and v, which is the same number and is
    exactly 0 where the vectors are equal, and accurate where they nearly are.

    Args:
        clean: A vector, [D].
        moved: Another, [D].

    Returns:
        The drift; None if a vector is zero, for then it has no direction.

    Raises:
        ValueError: Empty or unequal shapes, or a number that is not finite.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652).

    >>> cosine_drift([1.0, 0.0], [0.0, 3.0]), cosine_drift([1.0, 2.0], [1.0, 2.0])
    (1.0, 0.0)
    """
    one, other = vector("clean", clean), vector("moved", moved)
    same_length(clean=one, moved=other)
    drifts = _drifts(one, other[None])
    return None if drifts is None else float(drifts[0])


def l2_distance(clean: ArrayLike, moved: ArrayLike) -> float:
    """Length of the difference of two vectors, |clean - moved|.

    Arguments and errors are those of `cosine_drift`.

    >>> l2_distance([1.0, 0.0], [4.0, 4.0])
    5.0
    """
    one, other = vector("clean", clean), vector("moved", moved)
    same_length(clean=one, moved=other)
    return float(np.linalg.norm(one - other))


def control_drift(clean: ArrayLike, others: ArrayLike) -> float | None:
    """Mean drift from one image's vector to those of other images.

    1/K sum over k of 1 - cos(clean, others[k]): what drift is between images that have
    nothing to do with each other.

    Args:
        clean: A vector, [D].
        others: Those of K other images, [K, D].

    Returns:
        The mean; None if there is no other image, or a vector is zero.

    Raises:
        ValueError: Unequal shapes, or a number that is not finite.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652), K = 25.

    >>> control_drift([1.0, 0.0], [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    1.0
    """
    one, rows = vector("clean", clean), np.asarray(others, dtype=np.float64)
    if len(rows) == 0:
        return None
    if rows.ndim != 2 or rows.shape[1] != one.size or not np.isfinite(rows).all():
        raise ValueError(f"others must be finite numbers [K, {one.size}], got shape {rows.shape}")
    drifts = _drifts(one, rows)
    return None if drifts is None else float(drifts.mean())


def cohens_d(perturbed: ArrayLike, control: ArrayLike) -> float | None:
    """Difference of two means in units of the pooled standard deviation.

    d = (mean(perturbed) - mean(control)) / s with
    s^2 = ((n1 - 1) s1^2 + (n2 - 1) s2^2) / (n1 + n2 - 2), variances with ddof 1.

    Args:
        perturbed: One number per document, [n1].
        control: One number per document of the control, [n2].

    Returns:
        d; None with fewer than two numbers on a side, or if nothing varies.

    Raises:
        ValueError: A column is empty or holds a number that is not finite.

    Source: Cohen 1988.

    >>> cohens_d([1.0, 3.0], [5.0, 7.0])
    -2.82842712474619
    """
    one, other = vector("perturbed", perturbed), vector("control", control)
    if min(one.size, other.size) < 2:
        return None
    # Equal numbers have no variance; rounding in their mean would give them some.
    varying = np.ptp(one) > 0 or np.ptp(other) > 0
    squares = (one.size - 1) * one.var(ddof=1) + (other.size - 1) * other.var(ddof=1)
    pooled = np.sqrt(squares / (one.size + other.size - 2))
    return float((one.mean() - other.mean()) / pooled) if varying and pooled > 0 else None


def cohens_dz(perturbed: ArrayLike, control: ArrayLike) -> float | None:
    """Mean of paired differences in units of their own standard deviation.

    d_z = mean(perturbed - control) / s, with s the standard deviation of the differences
    (ddof 1).

    Args:
        perturbed: One number a document, [N].
        control: That document's other number, [N].

    Returns:
        d_z; None with fewer than two documents, or if all differences are equal.

    Raises:
        ValueError: Empty or unequal columns, or a number that is not finite.

    Source: Cohen 1988, section 2.3.5.

    >>> cohens_dz([1.0, 3.0, 2.0], [0.0, 0.0, 0.0])
    2.0
    """
    one, other = vector("perturbed", perturbed), vector("control", control)
    same_length(perturbed=one, control=other)
    differences = one - other
    # Equal numbers have no variance; rounding in their mean would give them some.
    if differences.size < 2 or np.ptp(differences) == 0:
        return None
    return float(differences.mean() / differences.std(ddof=1))


def _drifts(clean: Floats, rows: Floats) -> Floats | None:
    """Return the drift from a vector to each row, None if one of them is zero."""
    one, units = _units(clean[None]), _units(rows)
    return None if one is None or units is None else np.square(one - units).sum(axis=1) / 2


def _units(rows: Floats) -> Floats | None:
    # Scaled first, so that squares neither overflow nor vanish.
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not largest.all():
        return None
    scaled = rows / largest
    return np.asarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True), dtype=np.float64)
