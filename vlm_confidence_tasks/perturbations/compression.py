"""Family `jpeg`."""

from io import BytesIO

from PIL import Image

from vlm_confidence_tasks.perturbations.parameters import Severity
from vlm_confidence_tasks.perturbations.registry import register

QUALITIES = (25, 18, 15, 10, 7)


@register("jpeg", family="jpeg", strength="severity", in_pixels=True)
def jpeg(image: Image.Image, *, severity: Severity) -> Image.Image:
    """Write as JPEG and read back, at quality 25, 18, 15, 10, 7 (severity 1 to 5).

    4:2:0 chroma subsampling. The pixels are those of the JPEG library in Pillow.

    Source: ImageNet-C (Hendrycks and Dietterich 2019, arXiv 1903.12261).
    """
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITIES[severity - 1], subsampling="4:2:0")
    with Image.open(file) as decoded:
        return decoded.convert("RGB")
