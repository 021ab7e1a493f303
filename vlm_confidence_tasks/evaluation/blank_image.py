"""Blank images, on which a model's answer shows its prior given the question alone."""

from collections.abc import Iterable
from dataclasses import replace

from PIL import Image

from vlm_confidence_tasks.evaluation.request import ImageSpec, Request
from vlm_confidence_tasks.types import CLEAN, Variant

NAME = "blank"
# Replaces the digest of a stored image: blank images of one size are identical.
SOURCE = b"blank"


def is_blank(variant: Variant) -> bool:
    """Whether a variant is the blank image."""
    return variant.perturbation == NAME


def blank_images(variant: Variant) -> list[Image.Image]:
    """Make the white images of a blank variant.

    >>> [image.size for image in blank_images(blank_variant([(4, 2), (3, 3)]))]
    [(4, 2), (3, 3)]
    """
    sizes = str(dict(variant.parameters)["sizes"]).split()
    return [Image.new("RGB", _size(text), "white") for text in sizes]


def blank_variant(sizes: Iterable[tuple[int, int]]) -> Variant:
    """Return the variant that shows white images of these widths and heights.

    >>> str(blank_variant([(640, 480)]))
    'blank(sizes=640x480, seed=0)'
    """
    text = " ".join(f"{width}x{height}" for width, height in sizes)
    return Variant(NAME, (("sizes", text),))


def blank_request(request: Request, sizes: Iterable[tuple[int, int]]) -> Request:
    """Return the request with the same question about a blank image of the same size.

    Requests with equal prompts and sizes have equal keys, whichever documents they belong to.
    """
    image = ImageSpec(SOURCE, None, blank_variant(sizes))
    return replace(request, key=replace(request.key, image=image), options=())


def with_blanks(requests: Iterable[Request]) -> list[Request]:
    """Return the requests of clean images whose question is asked about a blank one too."""
    return [r for r in requests if r.representations and r.variant == CLEAN and r.other is None]


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)
