"""The need `masks` of questions: looked for once, kept, and given as asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlm_confidence_tasks.masks import MaskStore, QuestionMasks, union
from vlm_confidence_tasks.masks.question_masks import WHOLE
from vlm_confidence_tasks.types import Question

IMAGE = Image.new("RGB", (4, 2))
BOTH = "Is the cat to the left of the dog in this image?"


class Columns:
    """Finds each thing in a column of its own, and no unicorn."""

    def __init__(self, name: str = "columns/1") -> None:
        self.name = name
        self.asked: list[tuple[str, str]] = []

    def mask(self, image: Image.Image, phrases: Sequence[str], image_id: str = ""):
        self.asked += [(phrase, image_id) for phrase in phrases]
        return union(self._one(image, phrase) for phrase in phrases)

    def _one(self, image: Image.Image, phrase: str):
        mask = np.zeros((image.height, image.width), bool)
        mask[:, ["cat", "dog"].index(phrase)] = phrase != "unicorn"
        return mask


class Nothing(Columns):
    def _one(self, image: Image.Image, phrase: str):
        return None


def question(text: str, prompt: str = "") -> Question:
    return Question("1", "photo", prompt or f"{text}\nAnswer with one word.", asked=text)


def test_each_thing_has_its_mask() -> None:
    provider = Columns()
    found = QuestionMasks(provider).of(question(BOTH), IMAGE)
    assert {name: mask[0].tolist() for name, mask in found.items()} == {
        "cat": [True, False, False, False],
        "dog": [False, True, False, False],
    }
    assert provider.asked == [("cat", "photo"), ("dog", "photo")]


@pytest.mark.parametrize("on_disk", [True, False])
def test_things_are_looked_for_once(tmp_path: Path, on_disk: bool) -> None:
    provider = Columns()
    masks = QuestionMasks(provider)
    masks.store = MaskStore(tmp_path if on_disk else None)
    first = masks.of(question(BOTH), IMAGE)
    again = masks.of(question("Is there a dog in this image?"), IMAGE)
    assert len(provider.asked) == 2
    assert np.array_equal(first["dog"], again["dog"])
    masks.of(question("Is there a dog in this image?"), Image.new("RGB", (4, 3)))
    assert len(provider.asked) == 3
    provider.name = "columns/2"
    masks.of(question("Is there a dog in this image?"), IMAGE)
    assert len(provider.asked) == 4


def test_that_nothing_was_found_is_kept_too(tmp_path: Path) -> None:
    provider = Nothing()
    masks = QuestionMasks(provider)
    masks.store = MaskStore(tmp_path)
    for _ in range(2):
        assert masks.of(question("Is there a cat in the image?"), IMAGE) == {}
    assert len(provider.asked) == 1


def test_the_whole_image_stands_for_what_was_not_found() -> None:
    masks = QuestionMasks(Nothing(), "global")
    found = masks.of(question("Is there a cat in the image?"), IMAGE)
    assert list(found) == [WHOLE] and found[WHOLE].shape == (2, 4) and found[WHOLE].all()
    # A question that names nothing by its form too.
    assert list(masks.of(question("What is it?"), IMAGE)) == [WHOLE]
    assert list(QuestionMasks(Columns(), "global").of(question(BOTH), IMAGE)) == ["cat", "dog"]


def test_the_name_says_what_pixels_depend_on() -> None:
    names = {QuestionMasks(Columns(n), o).name for n in "ab" for o in ("skip", "global")}
    assert len(names) == 4
