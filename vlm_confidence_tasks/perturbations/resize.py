"""Families `scale` and `scalepad`: bicubic resizing.

Pillow's bicubic filter, which widens with the factor and so does not alias, and works
in fixed point: OpenCV's is faster, but its result depends on the processor.
Sides are rounded as Python's `round` does, half to even, and never below one pixel.

Source: "Same Answer, Different Representations", arXiv 2602.06652.
"""

from __future__ import annotations

from typing import Annotated, Literal

from PIL import Image

from vlm_confidence_tasks.perturbations.parameters import Range
from vlm_confidence_tasks.perturbations.registry import register


@register("scale", family="scale", strength="factor")
def scale(
    image: Image.Image, *, factor: Annotated[float, Range(0.01, 10)] = 0.9, restore: bool = False
) -> Image.Image:
    """Resize to round(factor width) x round(factor height), at least 1 x 1.

    `restore` resizes back to the original size. The source's text does, its code does
    not: the default is the code's.
    """
    scaled = _resize(image, factor)
    return scaled.resize(image.size, Image.Resampling.BICUBIC) if restore else scaled


@register("scale_pad", family="scalepad", strength="factor")
def scale_pad(
    image: Image.Image,
    *,
    factor: Annotated[float, Range(0.01, 1)] = 0.9,
    fill: Literal["black", "white"] = "black",
) -> Image.Image:
    """Resize as `scale` does and paste centred on a canvas of the original size.

    Where the margin is odd, the left or upper one is the smaller.
    """
    scaled = _resize(image, factor)
    canvas = Image.new("RGB", image.size, fill)
    margins = (image.width - scaled.width) // 2, (image.height - scaled.height) // 2
    canvas.paste(scaled, margins)
    return canvas


def fit(image: Image.Image, max_side: int) -> Image.Image:
    """Return the image with its longer side at most `max_side` pixels.

    What a task does before anything else (`max_side`), so not a perturbation. An image
    that is small enough does not change.

    >>> fit(Image.new("RGB", (2048, 1000)), 1024).size
    (1024, 500)

    Raises:
        ValueError: `max_side` is under 1.
    """
    if max_side < 1:
        raise ValueError(f"max_side must be at least 1, got {max_side}")
    if max(image.size) <= max_side:
        return image.copy()
    return _resize(image, max_side / max(image.size))


def _resize(image: Image.Image, factor: float) -> Image.Image:
    width, height = (max(1, round(factor * side)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)
