"""Family `noise`: Gaussian noise inside an L-infinity ball."""

import math
from typing import Annotated

import numpy as np
from numpy.random import Generator
from PIL import Image

from vlm_confidence_tasks.perturbations.parameters import Range
from vlm_confidence_tasks.perturbations.registry import register
from vlm_confidence_tasks.perturbations.row_blocks import row_blocks


@register("gaussian_noise", family="noise", strength="epsilon", in_pixels=True)
def gaussian_noise(
    image: Image.Image, rng: Generator, *, epsilon: Annotated[float, Range(0, 1)]
) -> Image.Image:
    """Add Gaussian noise, projected to the L-infinity ball and to the valid range.

    With n ~ N(0, epsilon^2), one draw for each value of each pixel, in units in which
    a pixel is in [0, 1]:

        delta = clip(round(255 n), -floor(255 epsilon), floor(255 epsilon))
        out = clip(x + delta, 0, 255)

    so that max abs(out - x) <= 255 epsilon holds exactly. `round` is half to even, in
    float32; 255 epsilon is the float64 product, which is the integer k where epsilon
    is k/255. An epsilon under 1/255 therefore changes nothing.

    Source: "The Confidence Trap" as its text describes the noise.
    """
    limit = math.floor(255 * epsilon)
    if limit == 0:
        return image.copy()
    pixels = np.asarray(image)
    result = np.empty_like(pixels)
    for rows in row_blocks(pixels.shape):
        # All numbers from `rint` on are integers under 2^24, which float32 holds exactly.
        noise = rng.standard_normal(pixels[rows].shape, np.float32)
        noise *= np.float32(255 * epsilon)
        np.rint(noise, out=noise)
        np.clip(noise, -limit, limit, out=noise)
        noise += pixels[rows]
        result[rows] = np.clip(noise, 0, 255, out=noise)
    return Image.fromarray(result)
