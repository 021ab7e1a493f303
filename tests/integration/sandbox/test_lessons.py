"""Lessons and how they are packed, with characters for tokens."""

from __future__ import annotations

import numpy as np
import pytest

from tiny_world.lessons import IMAGE, Lesson, Row
from tiny_world.packing import IGNORED, Packer
from vlm_confidence_tasks.sandbox.world import Scene, Thing

SCENE = Scene((Thing("red", "circle", 0, 8, 8), Thing("blue", "star", 5, 56, 24)))


@pytest.fixture
def packer() -> Packer:
    return Packer(lambda text: [ord(letter) for letter in text], pad=0, patch=16)


def test_every_learned_token_is_the_target_of_the_one_before(packer: Packer) -> None:
    lessons = (Lesson("a", (("ab", "cd"), ("e", "f"))), Lesson("b", (("gh", "i"),)))
    packed = packer.pack([Row((SCENE,), IMAGE + "!", lessons)])
    start = 16 * len(IMAGE) + 1
    text = "".join(map(chr, packed.tokens[0]))
    assert text[start:] == "abcdefghi"
    learned = np.flatnonzero(packed.targets[0] != IGNORED)
    assert "".join(text[i + 1] for i in learned) == "cdfi"
    assert "".join(map(chr, packed.targets[0, learned])) == "cdfi"
    assert list(packed.blocks[0, start:]) == [1] * 6 + [2] * 3
    assert list(packed.lengths[0, start:]) == [3] * 6 + [1] * 3


def test_each_lesson_continues_the_opening(packer: Packer) -> None:
    lessons = (Lesson("a", (("ab", "c"),)), Lesson("b", (("d", "e"),)))
    packed = packer.pack([Row((SCENE,), IMAGE, lessons)])
    start = 16 * len(IMAGE)
    assert list(packed.positions[0, start:] - start) == [0, 1, 2, 0, 1]
