"""Questions about scenes with their answers: what data sets and lessons are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tiny_world.wording import LETTERS, plural, with_article
from vlm_confidence_tasks.sandbox.world import COLOURS, PLACES, SHAPES, Scene

NUMBERS = ("zero", "one", "two", "three", "four", "five")


@dataclass(frozen=True)
class Query:
    """A yes/no question; `kind` is AMBER's type without regard to the answer."""

    text: str
    kind: str
    truth: bool


@dataclass(frozen=True)
class Choice:
    """A question with options; `kind` is SEED-Bench's question type."""

    text: str
    options: tuple[str, ...]
    right: int
    kind: int

    @property
    def letter(self) -> str:
        """Letter of the right option."""
        return LETTERS[self.right]


def pick(rng: np.random.Generator, items: Sequence[str]) -> str:
    """Draw one item."""
    return items[int(rng.integers(len(items)))]


def near_miss(rng: np.random.Generator, scene: Scene) -> str:
    """Draw an absent object; half of the time colour and shape are both in the scene."""
    colours = {t.colour for t in scene.things}
    shapes = {t.shape for t in scene.things}
    near = [n for n in scene.absent if set(n.split()) <= colours | shapes]
    return pick(rng, near if near and rng.random() < 0.5 else scene.absent)


def existence(scene: Scene, rng: np.random.Generator, truth: bool) -> Query:
    """AMBER's existence: is an object there at all."""
    name = pick(rng, scene.names) if truth else near_miss(rng, scene)
    return Query(f"Is there {with_article(name)} in this image?", "existence", truth)


def state(scene: Scene, rng: np.random.Generator, truth: bool) -> Query | None:
    """AMBER's attribute, state: the colour of a shape that is there once."""
    if not (things := scene.only()):
        return None
    thing = things[int(rng.integers(len(things)))]
    others = [colour for colour in COLOURS if colour != thing.colour]
    colour = thing.colour if truth else pick(rng, others)
    return Query(f"Is the {thing.shape} {colour} in this image?", "state", truth)


def number(scene: Scene, rng: np.random.Generator, truth: bool) -> Query:
    """AMBER's attribute, number: how many things have a shape that is there."""
    shape = pick(rng, sorted({t.shape for t in scene.things}))
    there = min(scene.count(shape), 3)
    count = there if truth else int(rng.choice([n for n in (1, 2, 3) if n != there]))
    words = (
        f"Is there only one {shape}"
        if count == 1
        else f"Are there {NUMBERS[count]} {plural(shape)}"
    )
    return Query(f"{words} in this image?", "number", truth and scene.count(shape) <= 3)


def action(scene: Scene, rng: np.random.Generator, truth: bool) -> Query | None:
    """AMBER's attribute, action, as far as shapes act: they sit somewhere."""
    if not (things := scene.single()):
        return None
    thing = things[int(rng.integers(len(things)))]
    others = [place for cell, place in enumerate(PLACES) if cell != thing.cell]
    place = PLACES[thing.cell] if truth else pick(rng, others)
    return Query(f"Is the {thing.name} sitting {place} in this image?", "action", truth)


def relation(scene: Scene, rng: np.random.Generator, truth: bool) -> Query | None:
    """AMBER's relation: which of two things is further left."""
    things = scene.single()
    pairs = [(a, b) for a in things for b in things if a.column < b.column]
    if not pairs:
        return None
    first, second = pairs[int(rng.integers(len(pairs)))]
    side = "left" if rng.random() < 0.5 else "right"
    if (side == "left") != truth:
        first, second = second, first
    text = f"Is the {first.name} to the {side} of the {second.name} in this image?"
    return Query(text, "relation", truth)


def _choose(
    rng: np.random.Generator, text: str, right: str, wrong: Sequence[str], kind: int
) -> Choice:
    """Set the right option among three wrong ones, in drawn order."""
    others = [wrong[i] for i in rng.choice(len(wrong), 3, replace=False)]
    place = int(rng.integers(4))
    return Choice(text, (*others[:place], right, *others[place:]), place, kind)


def which_object(scene: Scene, rng: np.random.Generator) -> Choice:
    """SEED-Bench's instance identity (2)."""
    right, text = pick(rng, scene.names), "Which object is in the image?"
    return _choose(rng, text, right, scene.absent, 2)


def which_colour(scene: Scene, rng: np.random.Generator) -> Choice | None:
    """SEED-Bench's instance attribute (3)."""
    if not (things := scene.only()):
        return None
    thing = things[int(rng.integers(len(things)))]
    wrong = [colour for colour in COLOURS if colour != thing.colour]
    return _choose(rng, f"What color is the {thing.shape}?", thing.colour, wrong, 3)


def which_place(scene: Scene, rng: np.random.Generator) -> Choice | None:
    """SEED-Bench's instance location (4)."""
    if not (things := scene.single()):
        return None
    thing = things[int(rng.integers(len(things)))]
    wrong = [place for i, place in enumerate(PLACES) if i != thing.cell]
    return _choose(rng, f"Where is the {thing.name}?", PLACES[thing.cell], wrong, 4)


def how_many(scene: Scene, rng: np.random.Generator) -> Choice:
    """SEED-Bench's instance counting (5)."""
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    count = scene.count(shape)
    wrong = [word for i, word in enumerate(NUMBERS) if i != count]
    return _choose(
        rng, f"How many {plural(shape)} are there in the image?", NUMBERS[count], wrong, 5
    )


QUERIES: tuple[Callable[[Scene, np.random.Generator, bool], Query | None], ...] = (
    existence,
    state,
    number,
    action,
    relation,
)
CHOICES: tuple[Callable[[Scene, np.random.Generator], Choice | None], ...] = (
    which_object,
    which_colour,
    which_place,
    how_many,
)
