"""smECE against the authors' package, and against its definition by quadrature."""

from __future__ import annotations

import numpy as np
import pytest
import relplot
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from vlm_confidence_tasks.metrics import (
    smooth_calibration_error,
)

answers = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def columns(pairs):
    return np.array([c for c, _ in pairs]), np.array([hit for _, hit in pairs])


@pytest.mark.parametrize("gap", [0.0, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("count", [20, 200, 3000])
def test_it_is_that_of_the_authors(count, gap):
    rng = np.random.default_rng(count)
    confidence = 0.5 + 0.5 * rng.beta(2, 1, count)
    correct = rng.random(count) < confidence - gap
    # Theirs finds the width by bisection to 1/1024.
    assert smooth_calibration_error(confidence, correct) == pytest.approx(
        relplot.smECE(confidence, correct.astype(float)), abs=2e-3
    )


def smoothed(confidence, correct, width):
    """Integral of the absolute smoothed residual, by the trapezoid rule."""
    points = np.linspace(0, 1, 4001)
    mirrored = [sign * confidence + shift for shift in range(-6, 7, 2) for sign in (1, -1)]
    kernel = sum(np.exp(-(((points[:, None] - c) / width) ** 2) / 2) for c in mirrored)
    residual = kernel @ (correct - confidence) / confidence.size
    return trapezoid(abs(residual), points) / (width * np.sqrt(2 * np.pi))


@given(answers)
def test_it_is_the_width_that_equals_the_error_smoothed_by_it(pairs):
    confidence, correct = columns(pairs)
    found = smooth_calibration_error(confidence, correct)
    assert 0 <= found <= 1
    # Where the kernel is wide enough for cells of 1/1024 and for the points of the integral.
    if found > 0.01:
        assert smoothed(confidence, correct, found) == pytest.approx(found, abs=2e-3)


rng = np.random.default_rng(0)
FEW = 10.0 ** rng.uniform(-6, -2, 300)
AT_ENDS = [
    (1.0 - FEW, rng.random(300) < 0.8, 0.01),
    (FEW, rng.random(300) < 0.2, 0.02),
    (np.where(rng.random(300) < 0.5, 1.0 - 1e-7, 0.99), rng.random(300) < 0.97, 0.01),
    (np.ones(300), rng.random(300) < 0.9, 0.01),
    (rng.integers(0, 2, 300) * 1.0, rng.random(300) < 0.5, 0.2),
    (np.array([0.0, 0.02, 1.0]), np.array([1, 0, 0]), 0.2),
    (np.array([0.001, 0.999]), np.array([1, 0]), 0.6),
]


@pytest.mark.parametrize(("confidence", "correct", "theirs"), AT_ENDS)
def test_near_0_and_1_it_is_that_of_quadrature(confidence, correct, theirs):
    """Theirs is off there, by less than `theirs`."""
    found = smooth_calibration_error(confidence, correct)
    assert smoothed(confidence, correct, found) == pytest.approx(found, abs=5e-6)
    assert abs(relplot.smECE(confidence, correct.astype(float)) - found) < theirs


def test_ends_of_the_scale():
    assert smooth_calibration_error([0.0, 1.0, 1.0], [0, 1, 1]) == 0
    assert smooth_calibration_error([1.0], [0]) == smooth_calibration_error([0.0], [1]) == 1
