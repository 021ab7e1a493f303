"""Families `lowpass`, `highpass`, `bandnoise` and `bandphase`: which frequencies an answer needs.

FFT of each channel in float64. Pixels are the same wherever the library's FFT rounds alike: its
last bits decide only where a value lies within 1e-9 of half a grey level.

Source of all but `bandphase`: "Same Answer, Different Representations", arXiv 2602.06652, whose
code of bands shifts the spectrum and not the mask, so that its low and high are swapped.
"""

from typing import Annotated, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from vlm_confidence_tasks.perturbations.parameters import Range
from vlm_confidence_tasks.perturbations.registry import register
from vlm_confidence_tasks.perturbations.row_blocks import row_blocks
from vlm_confidence_tasks.perturbations.spectrum import (
    Band,
    Floats,
    Gain,
    band_mask,
    filtered,
    filtered_channel,
    low_pass_mask,
)

Cutoff = Annotated[float, Range(0, 0.5)]
Shape = Literal["ideal", "gaussian"]


@register("low_pass", family="lowpass", strength="cutoff", in_pixels=True)
def low_pass(image: Image.Image, *, cutoff: Cutoff, shape: Shape = "ideal") -> Image.Image:
    """Keep the frequencies under a cut-off, given as share of the largest radius times 0.5.

    0.5 keeps all, 0 the mean alone. `ideal` cuts at once (and rings), `gaussian` has the gain
    exp(-r^2 / (2 cutoff^2)). Rounded to whole grey levels, where the source truncates.
    """
    return _filtered(image, low_pass_mask(image.height, image.width, cutoff, shape))


@register("high_pass", family="highpass", strength="cutoff", in_pixels=True)
def high_pass(
    image: Image.Image, *, cutoff: Cutoff, shape: Shape = "ideal", keep_mean: bool = True
) -> Image.Image:
    """Keep the frequencies above a cut-off: the gain is 1 minus that of `low_pass`.

    `keep_mean` keeps each channel's mean. The source drops it: without it half of what is left
    is negative and is clipped to black.
    """
    gain = 1.0 - low_pass_mask(image.height, image.width, cutoff, shape)
    gain[0, 0] = float(keep_mean)
    return _filtered(image, gain)


@register("band_noise", family="bandnoise", strength="epsilon", in_pixels=True)
def band_noise(
    image: Image.Image, rng: Generator, *, epsilon: Annotated[float, Range(0, 1)], band: Band
) -> Image.Image:
    """Add noise of one radial band, of the same power whichever band it is.

    White Gaussian noise masked to the band (`spectrum.band_mask`) and scaled to a root mean
    square of epsilon over all pixels and channels, in units in which a pixel is in [0, 1]. It
    is not inside the L-infinity ball of epsilon. The valid range clips it, which moves a little
    power into other bands where the image is near black or white.

    Raises:
        ValueError: The image is too small to have a frequency in the band.
    """
    pixels = np.asarray(image)
    noise = unit_noise(pixels.shape, rng, band)
    noise *= 255.0 * epsilon
    noise += pixels
    return rounded(noise)


@register("band_phase", family="bandphase", in_pixels=True)
def band_phase(image: Image.Image, rng: Generator, *, band: Band) -> Image.Image:
    """Scramble the phases of one radial band and keep its power, and all of the other bands.

    A uniform phase is added to each frequency of the band, the same in all channels, so that
    what lines up across frequencies is lost and the relation of the channels is not. Opposite
    frequencies get opposite phases; the mean stays. The valid range then clips.

    Raises:
        ValueError: The image is too small to have a frequency in the band.
    """
    turn = turns((image.height, image.width), rng, band)
    return _filtered(image, turn)


def unit_noise(shape: tuple[int, ...], rng: Generator, band: Band) -> Floats:
    """Return white noise [H, W, C] masked to a band, with a root mean square of 1."""
    noise = filtered(rng.standard_normal(shape), band_mask(shape[0], shape[1], band))
    noise /= np.sqrt(np.square(noise).mean())
    return noise


def turns(shape: tuple[int, int], rng: Generator, band: Band) -> NDArray[np.complex128]:
    """Return by what frequencies [H, W // 2 + 1] are multiplied to scramble a band's phases."""
    # The phases of real noise are uniform, and opposite at opposite frequencies.
    turn = np.fft.rfft2(rng.standard_normal(shape))
    turn /= np.abs(turn)
    turn[~band_mask(*shape, band)] = 1.0
    turn[0, 0] = 1.0
    return np.asarray(turn, np.complex128)


def _filtered(image: Image.Image, gain: Gain) -> Image.Image:
    """Return an image whose spectrum is multiplied, channel by channel to save memory."""
    channels = (filtered_channel(np.asarray(channel), gain) for channel in image.split())
    return Image.merge("RGB", [rounded(channel) for channel in channels])


def rounded(pixels: NDArray[np.floating]) -> Image.Image:
    """Return the image of values [H, W, 3] or [H, W], rounded half to even, clipped to 0..255."""
    result = np.empty(pixels.shape, np.uint8)
    for rows in row_blocks(pixels.shape):
        result[rows] = np.clip(np.rint(pixels[rows]), 0, 255)
    return Image.fromarray(result)
