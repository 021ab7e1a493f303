"""Scenes, questions and wording, against what a scene says of itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_world import wording
from tiny_world.exams import draw_exam
from tiny_world.questions import CHOICES, NUMBERS, QUERIES
from vlm_confidence_tasks.sandbox.render import render
from vlm_confidence_tasks.sandbox.world import (
    OBJECTS,
    PLACES,
    SHAPES,
    Scene,
    Thing,
    place,
    sample_scene,
)

SEEDS = st.integers(0, 2**32 - 1)
SCENE = Scene(
    (
        Thing("red", "circle", 0, 8, 8),
        Thing("blue", "square", 2, 56, 8),
        Thing("green", "star", 4, 24, 40),
        Thing("red", "square", 8, 56, 56),
    )
)


@given(SEEDS)
def test_a_scene_has_three_to_five_things_in_cells_of_their_own(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed))
    cells = [thing.cell for thing in scene.things]
    assert 3 <= len(cells) <= 5
    assert cells == sorted(set(cells))
    assert len(scene.names) >= 3
    assert set(scene.names) | set(scene.absent) == set(OBJECTS)


@pytest.mark.parametrize("name", OBJECTS)
def test_a_thing_is_drawn_in_its_cell_and_within_one_patch(name: str) -> None:
    rng = np.random.default_rng(OBJECTS.index(name))
    for cell in range(len(PLACES)):
        image = np.asarray(render(Scene((place(rng, name, cell),), 255)))
        # A fringe of a quarter of a pixel may be over the edge.
        rows, columns = np.nonzero((image < 155).any(axis=-1))
        for found, third in ((rows, cell // 3), (columns, cell % 3)):
            assert len(set(found // 16)) == 1
            assert found[0] // 16 in ((0,), (1, 2), (3,))[third]


@given(SEEDS, st.booleans(), st.sampled_from(QUERIES))
def test_queries_are_true_of_their_scene(seed: int, truth: bool, kind: object) -> None:
    query = kind(SCENE, np.random.default_rng(seed), truth)
    words = query.text.removesuffix(" in this image?").split()
    pair = " ".join(words[3:5])
    if query.kind == "existence":
        assert query.truth == (pair in SCENE.names)
    if query.kind == "state":
        assert query.truth == any((t.shape, t.colour) == (words[2], words[3]) for t in SCENE.things)
    if query.kind == "number":
        count = 1 if "only" in words else NUMBERS.index(words[2])
        assert query.truth == (SCENE.count(words[-1].rstrip("s")) == count)
    if query.kind == "action":
        sitting = " ".join(words[2:4]), " ".join(words[5:])
        assert query.truth == (sitting in [(t.name, PLACES[t.cell]) for t in SCENE.things])
    if query.kind == "relation":
        columns = {thing.name: thing.column for thing in SCENE.things}
        first, second = " ".join(words[2:4]), " ".join(words[-2:])
        further = columns[first] - columns[second]
        assert further and query.truth == ((further < 0) == ("left" in words))


@given(SEEDS, st.sampled_from(CHOICES))
def test_choices_have_one_right_option(seed: int, kind: object) -> None:
    choice = kind(SCENE, np.random.default_rng(seed))
    right = choice.options[choice.right]
    assert len(set(choice.options)) == 4
    subject = choice.text.rstrip("?").split()
    counts = {wording.plural(shape): NUMBERS[SCENE.count(shape)] for shape in SHAPES}
    answers = {
        2: list(SCENE.names),
        3: [t.colour for t in SCENE.things if t.shape == subject[-1]],
        4: [PLACES[t.cell] for t in SCENE.things if t.name == " ".join(subject[-2:])],
        5: [counts.get(subject[2], "")],
    }[choice.kind]
    assert [option for option in choice.options if option in answers] == [right]


@given(SEEDS)
def test_which_image_is_the_only_one_that_shows_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenes = tuple(sample_scene(rng) for _ in range(3))
    exam = draw_exam(scenes, rng, introduced=False, is_open=False)
    if exam is not None and exam.text.startswith("Which"):
        name = " ".join(exam.text.rstrip("?").split()[-2:])
        assert [name in scene.names for scene in scenes].index(True) == "ABC".index(exam.answer)
        assert sum(name in scene.names for scene in scenes) == 1
