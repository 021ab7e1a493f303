"""Where on the scale from coarse to fine an image has its power."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints

BANDS = ("low", "mid", "high")


def band_powers(image: ArrayLike) -> dict[str, float | None]:
    """Mean spectral power of an image in three radial bands, averaged over channels.

    |FFT|^2 of each channel, without a norm; a frequency's radius is sqrt(fy^2 + fx^2), in
    cycles an image; bands have the edges geomspace(1, rmax + 1, 4) - 1, so that "low" begins
    at radius 0, the mean, and "high" ends at rmax, inclusive.

    Args:
        image: Pixels, [H, W, channels] or [H, W].

    Returns:
        Power in the square of the pixels' unit, by band; None for a band that the image is
        too small for.

    Raises:
        ValueError: Not an image, or a number that is not finite.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652).

    >>> band_powers(np.ones((8, 8)))
    {'low': 4096.0, 'mid': 0.0, 'high': 0.0}
    """
    pixels = np.asarray(image, dtype=np.float64)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or 0 in pixels.shape or not np.isfinite(pixels).all():
        raise ValueError(f"image must be finite numbers [H, W, channels], got {pixels.shape}")
    height, width, channels = pixels.shape
    # A real image has each frequency twice: half of the plane is computed, and counted so.
    power = np.zeros((height, width // 2 + 1))
    for channel in range(channels):
        half = fft.rfft2(pixels[..., channel])
        power += half.real**2
        power += half.imag**2
    band, weight, count = _bands(height, width)
    total = np.bincount(band, weights=weight * power.ravel(), minlength=len(BANDS)) / channels
    return {name: float(total[n] / count[n]) if count[n] else None for n, name in enumerate(BANDS)}


@lru_cache(maxsize=16)
def _bands(height: int, width: int) -> tuple[Ints, Floats, Floats]:
    """Return each frequency's band in `rfft2`, how often it counts, and all counts of bands."""
    down, across = fft.fftfreq(height, 1 / height), fft.rfftfreq(width, 1 / width)
    radius = np.hypot(down[:, None], across[None])
    edges = np.geomspace(1.0, radius.max() + 1.0, len(BANDS) + 1) - 1.0
    band = np.searchsorted(edges[1:-1], radius.ravel(), side="right")
    # The mean is low in an image of one pixel too, where all edges are 0.
    band[radius.ravel() == 0] = 0
    twice = (across > 0) & (2 * across != width)
    weight = np.broadcast_to(1.0 + twice, radius.shape).ravel()
    count: Floats = np.bincount(band, weights=weight, minlength=len(BANDS)).astype(np.float64)
    return band.astype(np.intp), weight, count


def relative_change(clean: float, changed: float) -> float | None:
    """(changed - clean) / clean; None if there was nothing.

    >>> relative_change(2.0, 3.0), relative_change(0.0, 1.0)
    (0.5, None)
    """
    return (changed - clean) / clean if clean > 0 else None
