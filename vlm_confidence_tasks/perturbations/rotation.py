"""Family `rotation`."""

from typing import Annotated

from PIL import Image

from vlm_confidence_tasks.perturbations.parameters import Range
from vlm_confidence_tasks.perturbations.registry import register


@register("rotate", family="rotation", strength="degrees")
def rotate(image: Image.Image, *, degrees: Annotated[float, Range(-360, 360)]) -> Image.Image:
    """Rotate counter-clockwise about the centre, bicubic, on a white canvas that fits.

    The canvas has width w |cos| + h |sin| and height w |sin| + h |cos|, each rounded
    up to whole pixels about the centre (less than 2 pixels more). Multiples of 90
    degrees move pixels and do not resample.

    Pillow's rotation in double precision: OpenCV's `warpAffine` is faster, but its
    result depends on the processor.

    Source: "Same Answer, Different Representations", arXiv 2602.06652.
    """
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 255, 255))
