"""Drills: lessons that ask a dozen things in the tokens of one question.

What a question needs is learned from them long before it is learned from questions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tiny_world.exams import ORDINALS, draw_exam
from tiny_world.questions import CHOICES, NUMBERS, near_miss, pick, which_object
from tiny_world.wording import certainty, options_text, plural
from vlm_confidence_tasks.sandbox.world import COLOURS, PLACES, SHAPES, Scene


@dataclass(frozen=True)
class Lesson:
    """What follows the opening: pairs of a text that is read and one that is learned.

    `kind` is the lesson's name in tables.
    """

    kind: str
    turns: tuple[tuple[str, str], ...]


def yes(truth: bool) -> str:
    """Return a truth as benchmarks spell it."""
    return "Yes" if truth else "No"


def checks(scene: Scene, rng: np.random.Generator, absent: int) -> Lesson:
    """A drill: objects in three tokens each, with whether they are there; none twice."""
    missing = dict.fromkeys(near_miss(rng, scene) for _ in range(absent))
    names = [*scene.names, *missing]
    asked = [names[i] for i in rng.permutation(len(names))]
    return Lesson("checks", tuple((f" {n}", f" {yes(n in scene.names)}") for n in asked))


def attributes(scene: Scene, rng: np.random.Generator) -> list[Lesson]:
    """Two drills of one token each: what goes with a colour or shape, and whether it is there.

    They teach to find in the image what a word says, which all questions need, long before
    the questions do.
    """
    colours = Counter(thing.colour for thing in scene.things)
    pairs = [(t.shape, t.colour) for t in scene.only()]
    pairs += [(t.colour, t.shape) for t in scene.things if colours[t.colour] == 1]
    words, there = (*COLOURS, *SHAPES), {w for t in scene.things for w in (t.colour, t.shape)}
    told = [pairs[i] for i in rng.permutation(len(pairs))]
    asked = [words[i] for i in rng.permutation(len(words))]
    return _drills(
        attributes=[(f" {given}", f" {other}") for given, other in told],
        shown=[(f" {word}", f" {yes(word in there)}") for word in asked],
    )


def places(scene: Scene, rng: np.random.Generator) -> Lesson:
    """A drill: what stands at each place."""
    there = {thing.cell: thing.name for thing in scene.things}
    cells = [int(cell) for cell in rng.permutation(len(PLACES))]
    return Lesson("places", tuple((f" {PLACES[c]}", f" {there.get(c, 'nothing')}") for c in cells))


def where(scene: Scene, rng: np.random.Generator) -> list[Lesson]:
    """Two drills: the place of each thing, and whether it sits at a place that is named."""
    things = scene.single()
    told, checked = [], []
    for thing in (things[i] for i in rng.permutation(len(things))):
        told.append((f" {thing.name}", f" {PLACES[thing.cell]}"))
        cell = thing.cell if rng.random() < 0.5 else int(rng.integers(len(PLACES)))
        checked.append((f" {thing.name} {PLACES[cell]}", f" {yes(cell == thing.cell)}"))
    return _drills(where=told, spots=checked)


def sides(scene: Scene, rng: np.random.Generator) -> list[Lesson]:
    """Two drills: on which side of another a thing is, told or checked; no pair twice.

    A yes or a no to a side needs the side first, which telling it teaches faster.
    """
    things = scene.single()
    pairs = [(a, b) for i, a in enumerate(things) for b in things[:i] if a.column != b.column]
    told, checked = [], []
    for a, b in (pairs[i] for i in rng.permutation(len(pairs))):
        first, second = (a, b) if rng.random() < 0.5 else (b, a)
        right, wrong = ("left", "right") if first.column < second.column else ("right", "left")
        asked = right if rng.random() < 0.5 else wrong
        if rng.random() < 0.5:
            told.append((f" {first.name} {second.name}", f" {right}"))
        else:
            checked.append((f" {first.name} {asked} {second.name}", f" {yes(asked == right)}"))
    return _drills(order=told, sides=checked)


def _drills(**turns: list[tuple[str, str]]) -> list[Lesson]:
    """Make lessons by their kinds, less those without a turn."""
    return [Lesson(kind, tuple(asked)) for kind, asked in turns.items() if asked]


def counts(scene: Scene, rng: np.random.Generator) -> Lesson:
    """A drill: how many things have each shape."""
    shapes = [SHAPES[i] for i in rng.permutation(len(SHAPES))]
    return Lesson("counts", tuple((f" {plural(s)}", f" {NUMBERS[scene.count(s)]}") for s in shapes))


def doubts(scene: Scene, rng: np.random.Generator, absent: int) -> Lesson:
    """A drill: how certain one is of a planted answer, for each of some objects."""
    turns = []
    for name, truth in checks(scene, rng, absent).turns:
        right = bool(rng.random() < 0.5)
        planted = yes((truth == " Yes") == right)
        turns.append((f"{name} {planted}", f" {certainty(scene, right)}"))
    return Lesson("doubts", tuple(turns))


def options(scene: Scene, rng: np.random.Generator, count: int) -> Lesson:
    """A drill: the letter of the right option, without the words around it."""
    kinds = [CHOICES[i] for i in rng.permutation(len(CHOICES))[:count]]
    drawn = [choice for kind in kinds if (choice := kind(scene, rng)) is not None]
    turns = [(f"\n{c.text}\n{options_text(c.options)}\n", f" {c.letter}") for c in drawn]
    return Lesson("options", tuple(turns))


def picks(scene: Scene, rng: np.random.Generator, count: int) -> Lesson:
    """A drill: the letter of the one object of a list that is there, without a question.

    Letters are learned long after the answers that they stand for.
    """
    drawn = [which_object(scene, rng) for _ in range(count)]
    turns = [(f"\n{options_text(c.options)}\n", f" {c.letter}") for c in drawn]
    return Lesson("picks", tuple(turns))


def exam_options(scenes: tuple[Scene, ...], rng: np.random.Generator, count: int) -> Lesson:
    """A drill: the letter of the right option of an exam, without the words around it."""
    drawn = [draw_exam(scenes, rng, introduced=False, is_open=False) for _ in range(count)]
    turns = [(f"\n{e.text}\n{options_text(e.options)}\n", f" {e.answer}") for e in drawn if e]
    return Lesson("options", tuple(turns))


def whose(scenes: tuple[Scene, ...], rng: np.random.Generator) -> list[Lesson]:
    """A drill: which of several scenes shows an object that one of them alone shows."""
    names = Counter(name for scene in scenes for name in scene.names)
    owners = [(n, i) for i, scene in enumerate(scenes) for n in scene.names if names[n] == 1]
    asked = [owners[i] for i in rng.permutation(len(owners))]
    return _drills(whose=[(f" {name}", f" {ORDINALS[place]}") for name, place in asked])


def lookups(scenes: tuple[Scene, ...], rng: np.random.Generator) -> list[Lesson]:
    """Two drills on several scenes: a shape's colour in one of them, and what is in which.

    They teach to look at one image of several, which questions over all of them need.
    """
    told, checked = [], []
    for ordinal, scene in zip(ORDINALS, scenes, strict=False):
        told += [(f" {ordinal} {thing.shape}", f" {thing.colour}") for thing in scene.only()]
        others = [name for other in scenes for name in other.names]
        asked = (pick(rng, scene.names), pick(rng, others), pick(rng, others))
        checked += [(f" {ordinal} {name}", f" {yes(name in scene.names)}") for name in asked]
    return _drills(
        lookups=[told[i] for i in rng.permutation(len(told))],
        sorted=[checked[i] for i in rng.permutation(len(checked))],
    )
