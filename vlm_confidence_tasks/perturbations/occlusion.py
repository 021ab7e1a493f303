"""Family `occlusion`."""

import math

from numpy.random import Generator
from PIL import Image

from vlm_confidence_tasks.perturbations.parameters import Severity
from vlm_confidence_tasks.perturbations.registry import register

AREAS = (0.05, 0.1, 0.2, 0.3, 0.4)
GREY = (127, 127, 127)


@register("occlusion", family="occlusion", strength="severity")
def occlusion(image: Image.Image, rng: Generator, *, severity: Severity) -> Image.Image:
    """Cover 5, 10, 20, 30, 40% of the area (severity 1 to 5) with one grey rectangle.

    It has the image's own shape, sides of round(side * sqrt(share)) and at least one
    pixel, and lies wholly inside, at a place drawn uniformly. The place does not depend
    on the severity: the rectangle of a milder one lies within that of a harsher one.

    ImageNet-C has no occlusion; the single grey rectangle is Cutout's (DeVries and
    Taylor 2017, arXiv 1708.04552), which covers 25%, and the shares are this package's.
    """
    side = math.sqrt(AREAS[severity - 1])
    across, down = rng.random(2)
    left, right = _span(image.width, side, across)
    upper, lower = _span(image.height, side, down)
    result = image.copy()
    result.paste(GREY, (left, upper, right, lower))
    return result


def _span(length: int, share: float, place: float) -> tuple[int, int]:
    covered = max(1, round(share * length))
    start = math.floor(place * (length - covered) + 0.5)
    return start, start + covered
