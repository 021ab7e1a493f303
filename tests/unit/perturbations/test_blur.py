import math

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from vlm_confidence_tasks.perturbations import perturb
from vlm_confidence_tasks.perturbations.blur import _taps

from .strategies import flat_image, laws, noise_image

severities = st.integers(1, 5)


@pytest.mark.parametrize(("severity", "sigma"), list(enumerate([1, 2, 3, 4, 6], 1)))
def test_gaussian_against_scipy(severity, sigma):
    image = noise_image(80, 60)
    blurred = np.asarray(perturb(image, "gaussian_blur", severity=severity)).astype(float)
    exact = gaussian_filter(np.asarray(image, float), (sigma, sigma, 0), mode="nearest")
    assert np.abs(blurred - exact).max() < 2


@laws
@example(4, 14.5)
@given(severities, st.floats(-45, 45))
def test_taps(severity, angle):
    taps = _taps(severity, angle)
    radius, sigma = [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)][severity - 1]
    assert sum(taps.values()) == 256
    assert min(taps.values()) > 0
    for down, right in taps:
        assert taps[down, right] == taps[-down, -right]
        assert math.hypot(down, right) <= radius + 0.71
        across = down * math.cos(math.radians(angle)) - right * math.sin(math.radians(angle))
        assert abs(across) <= 0.71
    steps = np.arange(radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2)) * np.where(steps, 2, 1)
    # On whole pixels alone can a tap lie: against exact places all taps may be further out.
    direction = np.array([math.sin(math.radians(angle)), math.cos(math.radians(angle))])
    places = np.floor(np.outer(steps, direction) + 0.5)
    spread = math.sqrt(np.average((places**2).sum(1), weights=weights))
    squares = sum(weight * (down**2 + right**2) for (down, right), weight in taps.items())
    assert math.sqrt(squares / 256) == pytest.approx(spread, abs=0.1)


@pytest.mark.parametrize("severity", range(1, 6))
def test_motion_against_opencv(severity, monkeypatch):
    """The same taps as a kernel; filter2D adds up in floating point."""
    image = noise_image(80, 60)
    taps = _taps(severity, 20.0)
    monkeypatch.setattr("vlm_confidence_tasks.perturbations.blur._taps", lambda *_: taps)
    kernel = np.zeros((83, 83))
    for (down, right), weight in taps.items():
        kernel[41 + down, 41 + right] = weight / 256
    pixels = np.asarray(image, float)
    exact = cv2.filter2D(pixels, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    blurred = np.asarray(perturb(image, "motion_blur", severity=severity))
    assert np.abs(blurred - exact).max() <= 0.5 + 1e-6


@laws
@given(st.integers(0, 255), severities, st.sampled_from(["gaussian_blur", "motion_blur"]))
def test_a_flat_image_stays_flat(value, severity, name):
    image = flat_image(30, 20, value)
    assert np.unique(np.asarray(perturb(image, name, severity=severity))).tolist() == [value]
