"""POPE's protocol on the packaged questions, read from the questions alone."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tiny_world.pope import (
    CATEGORIES,
    IMAGES,
    ROOM,
    pope_rows,
)
from vlm_confidence_tasks.sandbox.world import OBJECTS, evaluation_scenes

SCENES = list(evaluation_scenes(ROOM, IMAGES))
ROWS = pope_rows()


def objects(rows: list[dict[str, str]], answer: str) -> list[str]:
    found = [re.fullmatch(r"Is there an? (.*) in the image\?", row["question"]) for row in rows]
    return [f[1] for f, row in zip(found, rows, strict=True) if f and row["answer"] == answer]


def by_image(category: str) -> list[list[dict[str, str]]]:
    rows = ROWS[category]
    return [rows[start : start + 6] for start in range(0, len(rows), 6)]


@pytest.mark.parametrize("category", CATEGORIES)
def test_three_present_and_three_absent_objects_an_image(category: str) -> None:
    for scene, rows in zip(SCENES, by_image(category), strict=True):
        present, absent = objects(rows, "yes"), objects(rows, "no")
        assert len(set(present)) == len(set(absent)) == 3
        assert set(present) <= set(scene.names)
        assert not set(absent) & set(scene.names)
        assert len({row["image_source"] for row in rows}) == 1


def test_popular_negatives_are_the_most_frequent_absent_objects() -> None:
    frequency = Counter(name for scene in SCENES for name in scene.names)
    for scene, rows in zip(SCENES, by_image("popular"), strict=True):
        absent = objects(rows, "no")
        others = set(OBJECTS) - set(scene.names) - set(absent)
        assert min(frequency[n] for n in absent) >= max(frequency[n] for n in others)


def test_adversarial_negatives_keep_company_with_the_object_asked_before() -> None:
    def together(one: str, other: str) -> int:
        return sum(one in scene.names and other in scene.names for scene in SCENES)

    for scene, rows in zip(SCENES, by_image("adversarial"), strict=True):
        taken = set(scene.names)
        for name, negative in zip(objects(rows, "yes"), objects(rows, "no"), strict=True):
            best = max(together(name, other) for other in set(OBJECTS) - taken)
            assert together(name, negative) == best
            taken.add(negative)


def test_the_categories_differ_in_their_negatives_only() -> None:
    yes = {tuple(objects(ROWS[c], "yes")) for c in CATEGORIES}
    no = {c: objects(ROWS[c], "no") for c in CATEGORIES}
    assert len(yes) == 1
    for one, other in (CATEGORIES[:2], CATEGORIES[1:], CATEGORIES[::2]):
        same = sum(a == b for a, b in zip(no[one], no[other], strict=True))
        assert same < len(no[one]) / 2


def test_the_test_split_is_the_three_categories() -> None:
    joined = [row | {"id": ""} for c in CATEGORIES for row in ROWS[c]]
    assert [row | {"id": ""} for row in ROWS["test"]] == joined
    assert [row["id"] for row in ROWS["test"]] == [str(i) for i in range(len(joined))]
