"""Lessons and how they are packed, with characters for tokens."""

from __future__ import annotations

import numpy as np
import pytest

from tiny_world import drills
from tiny_world.lessons import COURSES, IMAGE, Lesson, Row
from tiny_world.packing import IGNORED, Packer
from vlm_confidence_tasks.sandbox.world import Scene, Thing

SCENE = Scene((Thing("red", "circle", 0, 8, 8), Thing("blue", "star", 5, 56, 24)))


@pytest.fixture
def packer() -> Packer:
    return Packer(lambda text: [ord(letter) for letter in text], pad=0, patch=16)


@pytest.mark.parametrize("course", COURSES)
def test_a_row_is_a_function_of_the_generator(course: object) -> None:
    assert course(np.random.default_rng(3)) == course(np.random.default_rng(3))


@pytest.mark.parametrize("seed", range(20))
def test_the_letter_of_a_list_is_of_the_object_that_is_there(seed: int) -> None:
    lesson = drills.picks(SCENE, np.random.default_rng(seed), 4)
    assert len(lesson.turns) == 4
    for asked, letter in lesson.turns:
        listed = {f" {line[0]}": line[3:] for line in asked.strip().splitlines()}
        assert list(listed) == [" A", " B", " C", " D"]
        assert [text for text in listed.values() if text in SCENE.names] == [listed[letter]]


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


def test_patches_are_named_after_what_stands_there() -> None:
    words: list[str] = []

    def encode(text: str) -> list[int]:
        words.append(text.strip())
        return [len(words) - 1]

    packed = Packer(encode, pad=0, patch=16).pack([Row((SCENE,), IMAGE, ())])
    named = [[words[i] for i in four] for four in packed.seen[0]]
    assert named[0] == ["red", "circle", "left", "top"]
    assert named[7] == ["blue", "star", "right", "center"]
    assert named[9] == ["nothing", "nothing", "center", "center"]
