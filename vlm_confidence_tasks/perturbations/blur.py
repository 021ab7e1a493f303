"""Families `blur` and `motionblur`, in integer arithmetic.

The severities are ImageNet-C's (Hendrycks and Dietterich 2019, arXiv 1903.12261), in
pixels. They were set for images of 224 x 224 and, as is usual for detection data, are
not scaled with the image: the larger it is, the milder the blur.
"""

import math
from collections import Counter

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from vlm_confidence_tasks.perturbations.parameters import Severity
from vlm_confidence_tasks.perturbations.registry import register
from vlm_confidence_tasks.perturbations.row_blocks import row_blocks

SIGMAS = (1, 2, 3, 4, 6)
RADII_AND_SIGMAS = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
LARGEST_ANGLE = 45.0


@register("gaussian_blur", family="blur", strength="severity", in_pixels=True)
def gaussian_blur(image: Image.Image, *, severity: Severity) -> Image.Image:
    """Convolve with a Gaussian of sigma 1, 2, 3, 4, 6 pixels (severity 1 to 5).

    The edge is continued outwards. OpenCV blurs 8-bit images in fixed point, so that
    neither the number of threads nor the vector instructions matter.
    """
    sigma = SIGMAS[severity - 1]
    pixels = np.asarray(image)
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return Image.fromarray(np.asarray(blurred, np.uint8))


@register("motion_blur", family="motionblur", strength="severity", in_pixels=True)
def motion_blur(image: Image.Image, rng: Generator, *, severity: Severity) -> Image.Image:
    """Smear along a line at an angle drawn uniformly from -45 to 45 degrees.

    The mean of the pixels at distance i = -radius, ..., radius along the line, weighted
    by exp(-i^2 / (2 sigma^2)), with (radius, sigma) = (10, 3), (15, 5), (15, 8), (15, 12),
    (20, 15) pixels (severity 1 to 5). Positions are rounded to whole pixels, weights are
    whole 256ths, both alike on both sides; the edge is continued outwards. The angle does
    not depend on the severity.

    ImageNet-C has the same radii, sigmas and number of pixels, but its line begins at the
    pixel (i = 0, ..., 2 radius). So it also moves the image, by 2 to 11 pixels, and a
    shift is another family here. The weights' standard deviation along the line is 3.0,
    4.9, 6.9, 8.0, 10.4 pixels here, and 1.9, 3.1, 4.9, 6.9, 8.7 there.
    """
    taps = _taps(severity, rng.uniform(-LARGEST_ANGLE, LARGEST_ANGLE))
    pixels = np.asarray(image)
    reach = max(max(map(abs, offset)) for offset in taps)
    padded = cv2.copyMakeBorder(pixels, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    return Image.fromarray(_weighted_mean(np.asarray(padded), reach, taps))


def _taps(severity: int, angle: float) -> dict[tuple[int, int], int]:
    """Return (down, right) -> weight in 256ths, symmetric about (0, 0)."""
    radius, sigma = RADII_AND_SIGMAS[severity - 1]
    distance = np.arange(1, radius + 1)
    share = np.cumsum(np.exp(-(distance**2) / (2 * sigma**2)))
    # Rounding the running sum keeps the whole side's error under half a 256th.
    side = np.diff(np.rint(256 * share / (1 + 2 * share[-1])), prepend=0).astype(int)
    down, right = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    taps: Counter[tuple[int, int]] = Counter({(0, 0): 256 - 2 * int(side.sum())})
    for i, weight in zip(distance, side, strict=True):
        offset = math.floor(i * down + 0.5), math.floor(i * right + 0.5)
        taps[offset] += int(weight)
        taps[-offset[0], -offset[1]] += int(weight)
    return {offset: weight for offset, weight in taps.items() if weight}


def _weighted_mean(
    padded: NDArray[np.uint8], reach: int, taps: dict[tuple[int, int], int]
) -> NDArray[np.uint8]:
    height, width = (side - 2 * reach for side in padded.shape[:2])
    result = np.empty((height, width, 3), np.uint8)
    for rows in row_blocks(result.shape):
        above_and_below = slice(rows.start, rows.stop + 2 * reach)
        result[rows] = _mean_of_rows(padded[above_and_below], reach, taps)
    return result


def _mean_of_rows(
    padded: NDArray[np.uint8], reach: int, taps: dict[tuple[int, int], int]
) -> NDArray[np.uint16]:
    wide = padded.astype(np.uint16)
    height, width = (side - 2 * reach for side in padded.shape[:2])

    def window(down: int, right: int) -> NDArray[np.uint16]:
        top, left = reach + down, reach + right
        return wide[top : top + height, left : left + width]

    # 255 * 256 + 128 still fits in 16 bits; the 128 rounds the mean half up.
    total = window(0, 0) * np.uint16(taps[0, 0]) + np.uint16(128)
    pair = np.empty_like(total)
    for (down, right), weight in taps.items():
        # The taps are symmetric: each is weighted together with the one opposite.
        if (down, right) > (0, 0):
            np.add(window(down, right), window(-down, -right), out=pair)
            pair *= np.uint16(weight)
            total += pair
    return np.asarray(total >> 8, np.uint16)
