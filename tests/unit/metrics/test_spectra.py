"""Power by band: by hand on small images, as properties, against a full transform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vlm_confidence_tasks.metrics import BANDS, band_powers

sides = st.integers(4, 13)
images = st.tuples(sides, sides, st.just(3)).flatmap(
    lambda shape: arrays.arrays(np.float64, shape, elements=st.floats(0, 1))
)


def plainly(image):
    """The same by loops over the whole plane."""
    height, width, channels = image.shape
    power = sum(np.abs(np.fft.fft2(image[..., c])) ** 2 for c in range(channels)) / channels
    radius = {}
    for i in range(height):
        for j in range(width):
            y, x = (i + height // 2) % height - height // 2, (j + width // 2) % width - width // 2
            radius[i, j] = (y * y + x * x) ** 0.5
    edges = np.geomspace(1, max(radius.values()) + 1, 4) - 1
    groups = {name: [] for name in BANDS}
    for at, r in radius.items():
        name = "low" if r < edges[1] else "mid" if r < edges[2] else "high"
        groups[name].append(power[at])
    return {name: np.mean(values) for name, values in groups.items()}


@given(images)
def test_bands_are_those_of_a_full_transform(image):
    expected = plainly(image)
    for name, value in band_powers(image).items():
        assert value == pytest.approx(expected[name], rel=1e-9, abs=1e-9)


def wave(cycles: int, side: int = 32) -> np.ndarray:
    return np.tile(np.cos(2 * np.pi * cycles * np.arange(side) / side), (side, 1))


# Edges at 32 pixels: radius up to 22.6, so 0, 1.9, 7.2, 22.6.
@pytest.mark.parametrize(
    ("cycles", "band"), [(1, "low"), (2, "mid"), (7, "mid"), (8, "high"), (16, "high")]
)
def test_a_pure_wave_has_its_power_in_its_band(cycles, band):
    powers = band_powers(wave(cycles))
    assert powers[band] > 0
    assert all(powers[other] == pytest.approx(0, abs=1e-12) for other in BANDS if other != band)
    assert band_powers(wave(cycles).T) == pytest.approx(powers)


def test_one_pixel_is_low():
    assert band_powers([[2.0]]) == {"low": 4.0, "mid": None, "high": None}
