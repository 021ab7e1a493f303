"""Families `translation` and `padcrop`: moves by whole pixels, no resampling.

Source: "Same Answer, Different Representations", arXiv 2602.06652.
"""

from PIL import Image, ImageChops

from vlm_confidence_tasks.perturbations.registry import register


@register("translate", family="translation", strength="dx", in_pixels=True)
def translate(image: Image.Image, *, dx: int) -> Image.Image:
    """Shift cyclically along the width: out(x, y) = image((x - dx) mod width, y).

    `dx` is in pixels, positive to the right; a multiple of the width changes nothing.
    """
    return ImageChops.offset(image, dx % image.width, 0)


@register("pad_crop", family="padcrop", strength="n", in_pixels=True)
def pad_crop(image: Image.Image, *, n: int) -> Image.Image:
    """Add a black border of n pixels on each side, or crop -n pixels from each.

    The result, (width + 2n) x (height + 2n), is not resized back.

    Raises:
        ValueError: The crop leaves no pixel.
    """
    if min(image.size) + 2 * n < 1:
        raise ValueError(f"pad_crop: n={n} leaves nothing of an image of size {image.size}")
    # Pillow fills what lies outside the image with zeros.
    return image.crop((-n, -n, image.width + n, image.height + n))
