"""Families `scale` and `scalepad`: bicubic resizing, as `sizing` does it.

Source: "Same Answer, Different Representations", arXiv 2602.06652.
"""

from typing import Annotated, Literal

from PIL import Image

from vlm_confidence_tasks.perturbations.parameters import Range
from vlm_confidence_tasks.perturbations.registry import register
from vlm_confidence_tasks.perturbations.sizing import rescaled


@register("scale", family="scale", strength="factor")
def scale(
    image: Image.Image, *, factor: Annotated[float, Range(0.01, 10)] = 0.9, restore: bool = False
) -> Image.Image:
    """Resize to round(factor width) x round(factor height), at least 1 x 1.

    `restore` resizes back to the original size. The source's text does, its code does
    not: the default is the code's.
    """
    scaled = rescaled(image, factor)
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
    scaled = rescaled(image, factor)
    canvas = Image.new("RGB", image.size, fill)
    margins = (image.width - scaled.width) // 2, (image.height - scaled.height) // 2
    canvas.paste(scaled, margins)
    return canvas
