"""Family `textoverlay`: a box with a text about the answer, and its two controls."""

from __future__ import annotations

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

    The box is the phrase's ink in DejaVuSans of max(14, height // 32) pixels plus 4
    pixels on each side; what does not fit on the image is cut off. `semantic` writes
    the phrase. `random` writes 6 to 12 characters drawn from A-Z and 0-9 on the same
    base line, cut to the phrase's width. `empty` writes nothing. All three cover the
    same pixels. `index` says which of the question's wrong labels is meant (see
    `overlay_labels`), and enters the seed.

    Source: "Same Answer, Different Representations", arXiv 2602.06652.

    Raises:
        ValueError: The phrase is empty or has more than one line.
    """
    if not phrase.strip() or len(phrase.splitlines()) > 1:
        raise ValueError(f"text_overlay: phrase must be one line of text, got {phrase!r}")
    font = _font(max(14, image.height // 32))
    if content == "random":
        text = _random_text(rng, font, phrase)
    else:
        text = phrase if content == "semantic" else ""
    box = _box(font, phrase, text)
    result = image.copy()
    result.paste(box, ((image.width - box.width) // 2, (image.height - box.height) // 2))
    return result


def _box(font: ImageFont.FreeTypeFont, phrase: str, text: str) -> Image.Image:
    # A canvas of its own, so that no glyph reaches outside the box.
    left, top, right, bottom = _ink(font, phrase)
    size = (right - left + 2 * PADDING, bottom - top + 2 * PADDING)
    box = Image.new("RGB", size, WHITE)
    ImageDraw.Draw(box).text((PADDING - left, PADDING - top), text, font=font, fill=RED)
    return box


def _random_text(rng: Generator, font: ImageFont.FreeTypeFont, phrase: str) -> str:
    length = int(rng.integers(SHORTEST, LONGEST + 1))
    text = "".join(ALPHABET[i] for i in rng.integers(len(ALPHABET), size=length))
    room = _ink(font, phrase)[2]
    while _ink(font, text)[2] > room:
        text = text[:-1]
    return text


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
