"""Family `lowlight`."""

from PIL import Image

from vlm_confidence_tasks.perturbations.parameters import Severity
from vlm_confidence_tasks.perturbations.registry import register

TENTHS = (6, 5, 4, 3, 2)


@register("low_light", family="lowlight", strength="severity")
def low_light(image: Image.Image, *, severity: Severity) -> Image.Image:
    """Darken: out = round(255 c (x / 255)^2), c = 0.6, 0.5, 0.4, 0.3, 0.2, half up.

    ImageNet-C has no low light. The gain c and the exponent are those of the low-light
    corruption in 3D Common Corruptions (Kar et al. 2022, arXiv 2203.01441), without
    its stretch to the image's own range and its sensor noise, so that light alone
    changes; the noise has a family of its own.
    """
    tenths = TENTHS[severity - 1]
    return image.point([(2 * tenths * x * x + 2550) // 5100 for x in range(256)] * 3)
