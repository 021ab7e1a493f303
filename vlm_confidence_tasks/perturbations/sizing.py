"""Bicubic resizing of whole images.

Pillow's bicubic filter, which widens with the factor and so does not alias, and works
in fixed point: OpenCV's is faster, but its result depends on the processor.
Sides are rounded as Python's `round` does, half to even, and never below one pixel.
"""

from PIL import Image

Size = tuple[int, int]


def fit(image: Image.Image, max_side: int | None) -> Image.Image:
    """Return the image with its longer side at most `max_side` pixels; None: as it is.

    No perturbation: a task does this before anything else (`max_side`). An image that is
    small enough does not change.

    >>> fit(Image.new("RGB", (2048, 1000)), 1024).size
    (1024, 500)

    Raises:
        ValueError: `max_side` is under 1.
    """
    if max_side is None:
        return image
    size = fitted_size(image.size, max_side)
    return image.copy() if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def fitted_size(size: Size, max_side: int | None) -> Size:
    """Return the width and height of an image of a size after `fit`.

    Raises:
        ValueError: `max_side` is under 1.
    """
    if max_side is None:
        return size
    if max_side < 1:
        raise ValueError(f"max_side must be at least 1, got {max_side}")
    return size if max(size) <= max_side else _times(size, max_side / max(size))


def rescaled(image: Image.Image, factor: float) -> Image.Image:
    """Return the image at round(factor width) x round(factor height) pixels."""
    return image.resize(_times(image.size, factor), Image.Resampling.BICUBIC)


def _times(size: Size, factor: float) -> Size:
    width, height = (max(1, round(factor * side)) for side in size)
    return width, height
