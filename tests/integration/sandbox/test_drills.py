"""What drills teach is what the scenes show, by things' own colours, shapes and pixels."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from tiny_world import drills
from tiny_world.drills import Lesson
from tiny_world.exams import ORDINALS
from tiny_world.questions import NUMBERS
from tiny_world.wording import plural
from vlm_confidence_tasks.sandbox.world import PLACES, SHAPES, Scene, evaluation_scenes

SCENES = list(evaluation_scenes(51, 24))
Turns = list[tuple[list[str], str]]


@pytest.fixture(params=range(len(SCENES)))
def number(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def turns(lessons: list[Lesson]) -> dict[str, Turns]:
    """Words asked and words told of each kind, which are all that a drill has."""
    found: dict[str, Turns] = defaultdict(list)
    for lesson in lessons:
        found[lesson.kind] += [(asked.split(), told.strip()) for asked, told in lesson.turns]
    return found


def has(scene: Scene, *words: str) -> bool:
    return any({*words} <= {thing.colour, thing.shape} for thing in scene.things)


def told(truth: bool) -> str:
    return "Yes" if truth else "No"


def test_attributes_and_what_is_shown(number: int) -> None:
    scene = SCENES[number]
    found = turns(drills.attributes(scene, np.random.default_rng(number)))
    for (word,), other in found["attributes"]:
        matching = [t for t in scene.things if word in (t.colour, t.shape)]
        assert [{t.colour, t.shape} for t in matching] == [{word, other}]
    assert len(found["shown"]) == len({word for (word,), _ in found["shown"]}) > len(SHAPES)
    assert all(answer == told(has(scene, word)) for (word,), answer in found["shown"])


def test_checks_and_doubts(number: int) -> None:
    scene = SCENES[number]
    (*checked,) = turns([drills.checks(scene, np.random.default_rng(number), 6)])["checks"]
    assert all(answer == told(has(scene, *name)) for name, answer in checked)
    assert {answer for _, answer in checked} == {"Yes", "No"}
    doubted = turns([drills.doubts(scene, np.random.default_rng(number), 6)])["doubts"]
    for (*name, planted), said in doubted:
        assert (int(said.rstrip("%")) > 50) == (planted == told(has(scene, *name)))


def test_places_and_counts(number: int) -> None:
    scene = SCENES[number]
    rng = np.random.default_rng(number)
    there = {PLACES[thing.cell]: f"{thing.colour} {thing.shape}" for thing in scene.things}
    named = {" ".join(p): what for p, what in turns([drills.places(scene, rng)])["places"]}
    assert named == {place: there.get(place, "nothing") for place in PLACES}
    counted = {" ".join(s): n for s, n in turns([drills.counts(scene, rng)])["counts"]}
    assert counted == {plural(s): NUMBERS[sum(t.shape == s for t in scene.things)] for s in SHAPES}


def test_where_things_are(number: int) -> None:
    scene = SCENES[number]
    found = turns(drills.where(scene, np.random.default_rng(number)))
    cells = {f"{t.colour} {t.shape}": PLACES[t.cell] for t in scene.things}
    assert all(cells[" ".join(name)] == place for name, place in found["where"])
    for (colour, shape, *place), answer in found["spots"]:
        assert answer == told(cells[f"{colour} {shape}"] == " ".join(place))


def test_sides(number: int) -> None:
    scene = SCENES[number]
    found = turns(drills.sides(scene, np.random.default_rng(number)))
    x = {f"{t.colour} {t.shape}": t.x for t in scene.things}
    for (a, b, c, d), side in found["order"]:
        assert side == ("left" if x[f"{a} {b}"] < x[f"{c} {d}"] else "right")
    for (a, b, side, c, d), answer in found["sides"]:
        assert answer == told((side == "left") == (x[f"{a} {b}"] < x[f"{c} {d}"]))


@pytest.mark.parametrize("several", [2, 3])
def test_which_of_several_images(number: int, several: int) -> None:
    scenes = tuple(SCENES[(number + i) % len(SCENES)] for i in range(several))
    rng = np.random.default_rng(number)
    found = turns([*drills.whose(scenes, rng), *drills.lookups(scenes, rng)])
    by_ordinal = dict(zip(ORDINALS, scenes, strict=False))
    assert found["whose"] and found["sorted"]
    for name, ordinal in found["whose"]:
        assert [o for o, scene in by_ordinal.items() if has(scene, *name)] == [ordinal]
    for (ordinal, shape), colour in found["lookups"]:
        same = [t.colour for t in by_ordinal[ordinal].things if t.shape == shape]
        assert same == [colour]
    assert all(a == told(has(by_ordinal[o], *name)) for (o, *name), a in found["sorted"])
