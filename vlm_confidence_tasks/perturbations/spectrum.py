"""Radial frequencies of an image: cut-offs and bands, on the half plane of `rfft2`."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Gain = NDArray[np.floating | np.complexfloating | np.bool_]
Band = Literal["low", "mid", "high"]
BANDS: tuple[Band, ...] = ("low", "mid", "high")


def radii(height: int, width: int) -> Floats:
    """Return each frequency's sqrt(fy^2 + fx^2), in cycles an image, [H, W // 2 + 1]."""
    down, across = np.fft.fftfreq(height, 1 / height), np.fft.rfftfreq(width, 1 / width)
    return np.asarray(np.hypot(down[:, None], across[None]), np.float64)


def low_pass_mask(height: int, width: int, cutoff: float, shape: str) -> Floats:
    """Return the gain of a low pass at each frequency, in [0, 1], [H, W // 2 + 1].

    With r = radius * 0.5 / largest radius, so that r is in [0, 0.5]: `ideal` passes r <= cutoff,
    `gaussian` is exp(-r^2 / (2 cutoff^2)). The mean, r = 0, always passes.
    """
    radius = radii(height, width)
    share = radius * 0.5 / max(float(radius.max()), 1.0)
    if shape == "ideal":
        # Rounding must not decide whether the largest radius is inside.
        return (share <= cutoff + 1e-12).astype(np.float64)
    # Under any cut-off so small, the mean alone passes.
    return np.asarray(np.exp(-0.5 * np.square(share / max(cutoff, 1e-6))), np.float64)


def band_mask(height: int, width: int, band: Band) -> NDArray[np.bool_]:
    """Return where one of three radial bands is, [H, W // 2 + 1].

    The bands have the edges geomspace(1, rmax + 1, 4) - 1: "low" begins at radius 0, the mean,
    and "high" ends at the largest radius rmax, inclusive.

    Raises:
        ValueError: The image is too small to have a frequency in the band.

    Source: "Same Answer, Different Representations", arXiv 2602.06652.
    """
    radius = radii(height, width)
    edges = np.geomspace(1.0, radius.max() + 1.0, len(BANDS) + 1) - 1.0
    number = np.searchsorted(edges[1:-1], radius, side="right")
    # The mean is low in an image of one pixel too, where all edges are 0.
    number[radius == 0] = 0
    mask = number == BANDS.index(band)
    if not mask.any():
        raise ValueError(f"an image of {width} x {height} pixels has no frequency in band {band}")
    return np.asarray(mask, np.bool_)


def filtered(pixels: NDArray[np.floating | np.uint8], gain: Gain) -> Floats:
    """Multiply the spectrum of each channel, [H, W, C], by a gain, [H, W // 2 + 1]."""
    result = np.empty(pixels.shape, np.float64)
    for channel in range(pixels.shape[2]):
        result[..., channel] = filtered_channel(pixels[..., channel], gain)
    return result


def filtered_channel(pixels: NDArray[np.floating | np.uint8], gain: Gain) -> Floats:
    """Multiply the spectrum of one channel, [H, W], by a gain, [H, W // 2 + 1]."""
    spectrum = np.fft.rfft2(pixels) * gain
    return np.asarray(np.fft.irfft2(spectrum, s=pixels.shape), np.float64)
