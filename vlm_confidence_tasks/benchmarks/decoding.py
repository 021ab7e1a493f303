"""Decoding stored images: which are read, how large they may be, and how they come to 8 bits."""

import os
from collections.abc import Mapping
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from loguru import logger
from PIL import Image

from vlm_confidence_tasks.benchmarks.base import DocumentError, quoted
from vlm_confidence_tasks.errors import TaskError

# The variable that says how many pixels an image may have. A few bytes can stand for any number of
# them, and noise takes 23 bytes for each: 1.2 GB at the default.
MAX_PIXELS = "VLM_CONFIDENCE_MAX_PIXELS"
DEFAULT_MAX_PIXELS = 50_000_000

Size = tuple[int, int]


class Decoder:
    """Decodes the images of a data set."""

    def __init__(self, where: str, folder: Path | None = None) -> None:
        """Name the data set.

        Args:
            where: Its name in what is said.
            folder: Where the files lie that its cells may name; None: cells hold their images.

        Raises:
            TaskError: `MAX_PIXELS` is no whole number of 1 or more.
        """
        self._where = where
        self._folder = folder
        self._most = max_pixels()
        # Whose next() is atomic: images are decoded in threads.
        self._deep = count()

    def stored(self, cell: Mapping[str, Any] | None) -> bytes:
        """Return the file that a cell of an image column holds, or names.

        Raises:
            DocumentError: It holds none, or names what is no file in the folder.
        """
        data, path = (cell or {}).get("bytes"), (cell or {}).get("path")
        if data is not None:
            return bytes(data)
        if not path:
            raise DocumentError("there is no image")
        return _inside(str(path), self._folder).read_bytes()

    def image(self, cell: Mapping[str, Any] | None) -> Image.Image:
        """Decode a cell's image, the first of an animation, upright by its EXIF orientation.

        Pillow's modes of more than 8 bits are scaled to "L", each image from its own least value,
        black, to its own greatest, white.

        Raises:
            DocumentError: There is no image, or it is too large, or one of its values not finite.
            OSError: It is truncated, or no image at all.
        """
        data = self.stored(cell)
        with Image.open(BytesIO(data)) as opened:
            width, height = opened.size
        if width * height > self._most:
            raise DocumentError(
                f"it has {width} x {height} pixels, more than {self._most}: make it smaller, or "
                f"set {MAX_PIXELS}"
            )
        image: Image.Image = datasets.Image().decode_example({"bytes": data, "path": None})
        if not is_deep(image):
            return image
        if next(self._deep) == 0:
            logger.warning(
                f"{self._where}: images of more than 8 bits (mode {image.mode}) are scaled to 8, "
                "each from its own least to its own greatest value"
            )
        return to_8_bits(image)


def stored_size(data: bytes) -> Size | None:
    """Return width and height of a stored image by its header, None if that cannot be read."""
    try:
        with Image.open(BytesIO(data)) as opened:
            return opened.size
    except Exception:
        # Decoders raise many types. Who decodes the image says what is wrong with it.
        return None


def max_pixels() -> int:
    """Return how many pixels an image may have.

    Raises:
        TaskError: The variable is no whole number of 1 or more.
    """
    value = os.environ.get(MAX_PIXELS) or str(DEFAULT_MAX_PIXELS)
    if not (value.isascii() and value.isdigit() and int(value)):
        raise TaskError(f"{MAX_PIXELS} is {value!r}, expected a whole number of 1 or more")
    return int(value)


def is_deep(image: Image.Image) -> bool:
    """Whether an image has more than 8 bits, of which Pillow's conversion keeps the lowest."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def to_8_bits(image: Image.Image) -> Image.Image:
    """Scale a deep image from its own least value, 0, to its own greatest, 255.

    One without a difference is black.

    Raises:
        DocumentError: A value is not finite.
    """
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise DocumentError("a value of it is not finite")
    values -= values.min()
    greatest = values.max()
    return Image.fromarray(np.rint(values / (greatest or 1.0) * 255).astype(np.uint8))


def _inside(path: str, folder: Path | None) -> Path:
    """Return the file of a path in a folder, relative to it or absolute."""
    if folder is None:
        raise DocumentError(
            f"it is only named, {quoted(path)}: the data must hold the image itself"
        )
    try:
        file = (folder / path).resolve()
        if "://" not in path and file.is_relative_to(folder.resolve()) and file.is_file():
            return file
    except (OSError, ValueError):
        # A name that is too long, a circle of links, or a null byte.
        pass
    raise DocumentError(f"it is {quoted(path)}, which is no file in {folder}")
