"""The boxes that came with a data set, in COCO's format."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vlm_confidence_tasks.errors import TaskError, one_line
from vlm_confidence_tasks.masks.mask_provider import Mask, union
from vlm_confidence_tasks.probe import folder_digest


class Boxes:
    """The annotated boxes of a category, each filled."""

    def __init__(self, path: str) -> None:
        """Name the JSON file, which is read when it is needed.

        Args:
            path: File with `images` (id, file_name, width, height), `categories` (id, name) and
                `annotations` (image_id, category_id, bbox: left, top, width, height).
        """
        self._path = Path(path)

    @cached_property
    def name(self) -> str:
        """Name, version and the file's digest."""
        self._check_file()
        return f"boxes/1 {folder_digest(self._path)[:16]}"

    def mask(self, image: Image.Image, phrases: Sequence[str], image_id: str = "") -> Mask | None:
        """Return the boxes of the categories that the phrases name; None if there is none.

        The image may have another size than in the file; `image_id` is its file name, with or
        without its ending.

        Raises:
            TaskError: The file cannot be used, or does not have the image.
        """
        found = self._images.get(Path(image_id).stem)
        if found is None:
            raise TaskError(
                f"masks: {self._path} has no image {image_id!r}: the provider boxes finds images "
                "by their file_name, so that it serves data sets that name their images"
            )
        size, boxes = found
        scale = (image.width / size[0], image.height / size[1])
        return union(
            _filled(box, scale, image.size)
            for name, box in boxes
            if name in {phrase.lower() for phrase in phrases}
        )

    def _check_file(self) -> None:
        if not self._path.is_file():
            raise TaskError(
                f"masks: there is no file {self._path}: name one of COCO's format, "
                "VLM_CONFIDENCE_MASKS=boxes:FILE"
            )

    @cached_property
    def _images(self) -> Mapping[str, tuple[tuple[int, int], list[tuple[str, list[float]]]]]:
        """Size of each image, and its boxes with their names, by the stem of its file name."""
        self._check_file()
        try:
            return _read(json.loads(self._path.read_text()))
        except (ValueError, KeyError, TypeError) as error:
            raise TaskError(
                f"masks: {self._path} is not in COCO's format ({one_line(error)}): it needs "
                "images, categories and annotations with bbox"
            ) from error


def _read(
    data: Mapping[str, Any],
) -> dict[str, tuple[tuple[int, int], list[tuple[str, list[float]]]]]:
    names = {category["id"]: str(category["name"]).lower() for category in data["categories"]}
    images = {image["id"]: image for image in data["images"]}
    boxes: dict[Any, list[tuple[str, list[float]]]] = {number: [] for number in images}
    for annotation in data["annotations"]:
        box = [float(value) for value in annotation["bbox"]]
        boxes[annotation["image_id"]].append((names[annotation["category_id"]], box))
    return {
        Path(image["file_name"]).stem: ((image["width"], image["height"]), boxes[number])
        for number, image in images.items()
    }


def _filled(box: Sequence[float], scale: tuple[float, float], size: tuple[int, int]) -> Mask:
    """Return the pixels that a box touches, [H, W]."""
    left, top, width, height = box
    columns, rows = (
        slice(max(0, math.floor(start * by)), math.ceil((start + length) * by))
        for start, length, by in zip((left, top), (width, height), scale, strict=True)
    )
    mask = np.zeros(size[::-1], dtype=np.bool_)
    mask[rows, columns] = True
    return mask
