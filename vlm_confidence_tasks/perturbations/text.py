"""Family `textoverlay`: a box with a text about the answer, and its two controls."""

import math
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from vlm_confidence_tasks.perturbations.parameters import Range
from vlm_confidence_tasks.perturbations.registry import register

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SHORTEST, LONGEST = 6, 12
PADDING = 4
FONT, SMALLEST_FONT = 14, 6
WHITE, RED = (255, 255, 255), (255, 0, 0)


@register(
    "text_overlay",
    family="textoverlay",
    controls={"content": ("random", "empty")},
    needs={"clean_answer"},
)
def text_overlay(
    image: Image.Image,
    rng: Generator,
    phrase: str,
    *,
    content: Literal["semantic", "random", "empty"] = "semantic",
    index: Annotated[int, Range(0, 2)] = 0,
) -> Image.Image:
    """Paste a centred white box, large enough for the phrase in red.

    The phrase is "Answer is {label}", for a label that is not the model's own clean
    answer; it comes from `vlm_confidence_tasks.perturbations.phrase`.

    The box is the phrase's ink in DejaVuSans plus 4 pixels on each side. The font has
    max(14, height // 32) pixels, or the most of fewer at which the box fits the image.
    `semantic` writes the phrase. `random` writes 6 to 12 characters drawn from A-Z and
    0-9 on the same base line, cut to the phrase's width (the tail of
    a J or Q that hangs below the box is lost). `empty` writes nothing. All
    three cover the same pixels. `index` selects the label among those of
    `overlay_labels`, and enters the seed.

    Source: "Same Answer, Different Representations", arXiv 2602.06652, whose font does
    not shrink: on small images its phrases lose their ends, labels among them.

    Raises:
        ValueError: The phrase is empty or has more than one line, or its box does not
            fit the image at a font of 6 pixels.
    """
    if not phrase.strip() or len(phrase.splitlines()) > 1:
        raise ValueError(f"text_overlay: phrase must be one line of text, got {phrase!r}")
    font = _fitting_font(image.size, phrase)
    if content == "random":
        text = _random_text(rng, font, phrase)
    else:
        text = phrase if content == "semantic" else ""
    box = _box(font, phrase, text)
    result = image.copy()
    result.paste(box, ((image.width - box.width) // 2, (image.height - box.height) // 2))
    return result


def _fitting_font(size: tuple[int, int], phrase: str) -> ImageFont.FreeTypeFont:
    width, height = size
    for pixels in range(max(FONT, height // 32), SMALLEST_FONT - 1, -1):
        needed = _box_size(_font(pixels), phrase)
        if needed[0] <= width and needed[1] <= height:
            return _font(pixels)
    raise ValueError(
        f"text_overlay: the box of {phrase!r} needs {needed[0]} x {needed[1]} pixels at the "
        f"smallest font, {SMALLEST_FONT} pixels; the image has {width} x {height}"
    )


def _box_size(font: ImageFont.FreeTypeFont, phrase: str) -> tuple[int, int]:
    left, top, right, bottom = _ink(font, phrase)
    return right - left + 2 * PADDING, bottom - top + 2 * PADDING


def _box(font: ImageFont.FreeTypeFont, phrase: str, text: str) -> Image.Image:
    # A canvas of its own, so that no glyph reaches outside the box.
    left, top, _, _ = _ink(font, phrase)
    box = Image.new("RGB", _box_size(font, phrase), WHITE)
    ImageDraw.Draw(box).text((PADDING - left, PADDING - top), text, font=font, fill=RED)
    return box


def _random_text(rng: Generator, font: ImageFont.FreeTypeFont, phrase: str) -> str:
    length = int(rng.integers(SHORTEST, LONGEST + 1))
    text = "".join(ALPHABET[i] for i in rng.integers(len(ALPHABET), size=length))
    room = _ink(font, phrase)[2]
    while _ink(font, text)[2] > room:
        text = text[:-1]
    return text


# A font is tried out on the same few phrases again and again.
@lru_cache(maxsize=4096)
def _ink(font: ImageFont.FreeTypeFont, text: str) -> tuple[int, int, int, int]:
    left, top, right, bottom = font.getbbox(text)
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Imported here, since only this family pays for it. The basic layout engine is the
    # one that every build of Pillow has.
    import matplotlib

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
