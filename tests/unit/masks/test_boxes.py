"""Boxes of a file in COCO's format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.masks import provider

DATA = {
    "images": [
        {"id": 7, "file_name": "COCO_val2014_000000000007.jpg", "width": 20, "height": 10},
        {"id": 8, "file_name": "val2014/empty.jpg", "width": 5, "height": 5},
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "Wine glass"}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "bbox": [2, 1, 3, 4]},
        {"image_id": 7, "category_id": 1, "bbox": [10.5, 0, 1, 2.2]},
        {"image_id": 7, "category_id": 3, "bbox": [18, 8, 9, 9]},
    ],
}
SEVEN = "COCO_val2014_000000000007"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(DATA))
    return path


def filled(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A mask of boxes: left, top, right, bottom, the last ones not included."""
    mask = np.zeros((10, 20), bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_boxes_are_filled_to_the_pixels_that_they_touch(file: Path) -> None:
    boxes, image = provider(f"boxes:{file}"), Image.new("RGB", (20, 10))
    people = filled((2, 1, 5, 5), (10, 0, 12, 3))
    assert np.array_equal(boxes.mask(image, ["person"], SEVEN), people)
    # Cut at the image's edge.
    glass = filled((18, 8, 20, 10))
    assert np.array_equal(boxes.mask(image, ["wine glass"], f"{SEVEN}.jpg"), glass)
    assert np.array_equal(boxes.mask(image, ["person", "wine glass"], SEVEN), people | glass)
    assert boxes.mask(image, ["dog"], SEVEN) is None
    assert boxes.mask(image, ["person"], "empty") is None


def test_boxes_follow_an_images_size(file: Path) -> None:
    boxes = provider(f"boxes:{file}")
    half = boxes.mask(Image.new("RGB", (10, 5)), ["wine glass"], SEVEN)
    expected = np.zeros((5, 10), bool)
    expected[4:, 9:] = True
    assert np.array_equal(half, expected)


def test_the_name_changes_with_the_file(file: Path) -> None:
    before = provider(f"boxes:{file}").name
    file.write_text(json.dumps(DATA | {"annotations": []}))
    assert provider(f"boxes:{file}").name != before


def test_what_cannot_be_used_is_said_in_one_line(file: Path) -> None:
    image = Image.new("RGB", (20, 10))
    with pytest.raises(TaskError, match="has no image 'x': the provider boxes finds images by"):
        provider(f"boxes:{file}").mask(image, ["person"], "x")
    with pytest.raises(TaskError, match="there is no file .*missing.json: name one"):
        _ = provider(f"boxes:{file.parent / 'missing.json'}").name
    for text in ("{", "{}", '{"images": 1, "categories": [], "annotations": []}'):
        file.write_text(text)
        with pytest.raises(TaskError, match="is not in COCO's format") as caught:
            provider(f"boxes:{file}").mask(image, ["person"], SEVEN)
        assert "\n" not in str(caught.value)
