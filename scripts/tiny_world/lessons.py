"""Lessons: what the tiny model is taught, as text over drawn scenes.

A row is one opening with its images and many lessons that each follow it on their
own. The model reads them as if every lesson were a conversation of its own, which is
what evaluation asks, while the images are encoded once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tiny_world.exams import ORDINALS, draw_exam, lead
from tiny_world.questions import (
    CHOICES,
    NUMBERS,
    QUERIES,
    Query,
    near_miss,
    pick,
)
from tiny_world.wording import (
    CAPTION,
    caption,
    certainty,
    first_person,
    options_text,
    plural,
    pope_question,
    seed_prompt,
    short_prompt,
    third_person,
)
from vlm_confidence_tasks.sandbox.world import COLOURS, PLACES, SHAPES, Scene, sample_scene

USER, ASSISTANT, END, IMAGE = "USER: ", " ASSISTANT:", "</s>", "<image>"
"""The pieces of the chat format, which the template below writes as well."""

CHAT_TEMPLATE = """
{%- for message in messages -%}
  {%- set parts = message['content'] -%}
  {%- if parts is string -%}
    {%- set parts = [{'type': 'text', 'text': parts}] -%}
  {%- endif -%}
  {%- if message['role'] == 'user' -%}{{- 'USER: ' -}}{%- endif -%}
  {%- if message['role'] == 'assistant' -%}{{- 'ASSISTANT: ' -}}{%- endif -%}
  {%- for part in parts -%}
    {%- if part['type'] == 'image' -%}
      {{- '<image>\\n' -}}
    {%- elif message['role'] == 'assistant' -%}
      {{- part['text'] + eos_token -}}
    {%- else -%}
      {{- part['text'] + ' ' -}}
    {%- endif -%}
  {%- endfor -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}
"""
"""Jinja, for content that is a string (simple adapters) or a list (chat adapters)."""


@dataclass(frozen=True)
class Lesson:
    """What follows the opening: pairs of a text that is read and one that is learned.

    `kind` is the lesson's name in tables.
    """

    kind: str
    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Row:
    """Scenes, the text that shows them, and the lessons on them."""

    scenes: tuple[Scene, ...]
    opening: str
    lessons: tuple[Lesson, ...]


def _lesson(kind: str, prompt: str, answer: str) -> Lesson:
    return Lesson(kind, ((f"{prompt}{ASSISTANT}", f" {answer}{END}"),))


def _yes(truth: bool) -> str:
    return "Yes" if truth else "No"


def _pope(scene: Scene, rng: np.random.Generator, count: int) -> list[Query]:
    """Objects that are there and objects that are not, evenly."""
    asked = [pick(rng, scene.names) if i % 2 else near_miss(rng, scene) for i in range(count)]
    queries = [Query(pope_question(name), "pope", name in scene.names) for name in asked]
    return [queries[i] for i in rng.permutation(count)]


def _amber(scene: Scene, rng: np.random.Generator, count: int) -> list[Query]:
    """Questions of different kinds, as many as fit the scene; relation always."""
    kinds = [QUERIES[-1], *(QUERIES[i] for i in rng.permutation(len(QUERIES) - 1)[: count - 1])]
    drawn = [kind(scene, rng, bool(rng.random() < 0.5)) for kind in kinds]
    return [query for query in drawn if query is not None]


def _letters(scene: Scene, rng: np.random.Generator, count: int) -> list[Lesson]:
    """SEED-Bench's letters, for questions of different kinds."""
    kinds = [CHOICES[i] for i in rng.permutation(len(CHOICES))[:count]]
    drawn = [choice for kind in kinds if (choice := kind(scene, rng)) is not None]
    return [_lesson("seed", seed_prompt(c.text, c.options), c.letter) for c in drawn]


def _verbal(scene: Scene, rng: np.random.Generator, query: Query) -> Lesson:
    """How certain one is of a planted answer, half of the time a wrong one.

    The question is put bare or with the benchmark's ending, and the second turn
    comes on its own or after the first, since harnesses do all of these.
    """
    right = bool(rng.random() < 0.5)
    answer = _yes(query.truth == right)
    asked = query.text if rng.random() < 0.6 else short_prompt(query.text)
    person = third_person if rng.random() < 0.5 else first_person
    second = _lesson("verbal", person(asked, answer), certainty(scene, right))
    if rng.random() < 0.7:
        return second
    first = f"{short_prompt(query.text)}{ASSISTANT} {answer}{END}{USER}"
    ((asked_again, percentage),) = second.turns
    return Lesson("verbal", ((first + asked_again, percentage),))


def _checks(scene: Scene, rng: np.random.Generator, absent: int) -> Lesson:
    """A drill: objects in three tokens each, with whether they are there; none twice."""
    missing = dict.fromkeys(near_miss(rng, scene) for _ in range(absent))
    names = [*scene.names, *missing]
    asked = [names[i] for i in rng.permutation(len(names))]
    return Lesson("checks", tuple((f" {n}", f" {_yes(n in scene.names)}") for n in asked))


def _attributes(scene: Scene, rng: np.random.Generator) -> list[Lesson]:
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
        shown=[(f" {word}", f" {_yes(word in there)}") for word in asked],
    )


def _places(scene: Scene, rng: np.random.Generator) -> Lesson:
    """A drill: what stands at each place."""
    there = {thing.cell: thing.name for thing in scene.things}
    cells = [int(cell) for cell in rng.permutation(len(PLACES))]
    return Lesson("places", tuple((f" {PLACES[c]}", f" {there.get(c, 'nothing')}") for c in cells))


def _where(scene: Scene, rng: np.random.Generator) -> list[Lesson]:
    """Two drills: the place of each thing, and whether it sits at a place that is named."""
    things = scene.single()
    told, checked = [], []
    for thing in (things[i] for i in rng.permutation(len(things))):
        told.append((f" {thing.name}", f" {PLACES[thing.cell]}"))
        cell = thing.cell if rng.random() < 0.5 else int(rng.integers(len(PLACES)))
        checked.append((f" {thing.name} {PLACES[cell]}", f" {_yes(cell == thing.cell)}"))
    return _drills(where=told, spots=checked)


def _sides(scene: Scene, rng: np.random.Generator) -> list[Lesson]:
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
            checked.append((f" {first.name} {asked} {second.name}", f" {_yes(asked == right)}"))
    return _drills(order=told, sides=checked)


def _drills(**turns: list[tuple[str, str]]) -> list[Lesson]:
    """Make lessons by their kinds, less those without a turn."""
    return [Lesson(kind, tuple(asked)) for kind, asked in turns.items() if asked]


def _counts(scene: Scene, rng: np.random.Generator) -> Lesson:
    """A drill: how many things have each shape."""
    shapes = [SHAPES[i] for i in rng.permutation(len(SHAPES))]
    return Lesson("counts", tuple((f" {plural(s)}", f" {NUMBERS[scene.count(s)]}") for s in shapes))


def _doubts(scene: Scene, rng: np.random.Generator, absent: int) -> Lesson:
    """A drill: how certain one is of a planted answer, for each of some objects."""
    turns = []
    for name, truth in _checks(scene, rng, absent).turns:
        right = bool(rng.random() < 0.5)
        planted = _yes((truth == " Yes") == right)
        turns.append((f"{name} {planted}", f" {certainty(scene, right)}"))
    return Lesson("doubts", tuple(turns))


def _options(scene: Scene, rng: np.random.Generator, count: int) -> Lesson:
    """A drill: the letter of the right option, without the words around it."""
    kinds = [CHOICES[i] for i in rng.permutation(len(CHOICES))[:count]]
    drawn = [choice for kind in kinds if (choice := kind(scene, rng)) is not None]
    turns = [(f"\n{c.text}\n{options_text(c.options)}\n", f" {c.letter}") for c in drawn]
    return Lesson("options", tuple(turns))


def _whose(scenes: tuple[Scene, ...], rng: np.random.Generator) -> list[Lesson]:
    """A drill: which of several scenes shows an object that one of them alone shows."""
    names = Counter(name for scene in scenes for name in scene.names)
    owners = [(n, i) for i, scene in enumerate(scenes) for n in scene.names if names[n] == 1]
    asked = [owners[i] for i in rng.permutation(len(owners))] if len(scenes) > 1 else []
    return _drills(whose=[(f" {name}", f" {ORDINALS[place]}") for name, place in asked])


def _lookups(scenes: tuple[Scene, ...], rng: np.random.Generator) -> list[Lesson]:
    """Two drills on several scenes: a shape's colour in one of them, and what is in which.

    They teach to look at one image of several, which questions over all of them need.
    """
    told, checked = [], []
    for ordinal, scene in zip(ORDINALS, scenes, strict=False):
        told += [(f" {ordinal} {thing.shape}", f" {thing.colour}") for thing in scene.only()]
        others = [name for other in scenes for name in other.names]
        asked = (pick(rng, scene.names), pick(rng, others), pick(rng, others))
        checked += [(f" {ordinal} {name}", f" {_yes(name in scene.names)}") for name in asked]
    several = len(scenes) > 1
    return _drills(
        lookups=[told[i] for i in rng.permutation(len(told))] if several else [],
        sorted=[checked[i] for i in rng.permutation(len(checked))] if several else [],
    )


def beginner_row(rng: np.random.Generator) -> Row:
    """Draw a scene with drills, which ask far more in as many tokens as questions do."""
    scene = sample_scene(rng, biased=bool(rng.random() < 0.5))
    lessons = [_lesson("caption", CAPTION, caption(scene)), _places(scene, rng)]
    lessons += [*_attributes(scene, rng), _checks(scene, rng, 14)]
    lessons += [*_where(scene, rng), *_sides(scene, rng)]
    lessons += [_counts(scene, rng), _doubts(scene, rng, 2), _options(scene, rng, 4)]
    lessons += [_lesson(q.kind, short_prompt(q.text), _yes(q.truth)) for q in _pope(scene, rng, 2)]
    return Row((scene,), f"{USER}{IMAGE}\n", tuple(lessons))


def single_image_row(rng: np.random.Generator) -> Row:
    """Draw a scene and lessons in every format that has one image."""
    scene = sample_scene(rng, biased=bool(rng.random() < 0.5))
    queries = _pope(scene, rng, 2) + _amber(scene, rng, 4)
    lessons = [_lesson(q.kind, short_prompt(q.text), _yes(q.truth)) for q in queries]
    asked = [queries[i] for i in rng.permutation(len(queries))[:3]]
    lessons += [_verbal(scene, rng, query) for query in asked]
    lessons += [*_letters(scene, rng, 2), _options(scene, rng, 4)]
    lessons += [_doubts(scene, rng, 1), _counts(scene, rng)]
    if rng.random() < 0.5:
        lessons.append(_lesson("caption", CAPTION, caption(scene)))
    else:
        lessons += [*_where(scene, rng), *_sides(scene, rng)]
    return Row((scene,), f"{USER}{IMAGE}\n", tuple(lessons))


def exam_row(rng: np.random.Generator) -> Row:
    """Draw one to three scenes and MMMU questions on them, for chat or simple adapters."""
    count, style = int(rng.choice([1, 2, 2, 2, 3])), int(rng.integers(3))
    marked, introduced = style == 2, count > 1 and (style == 1 or bool(rng.random() < 0.3))
    scenes = tuple(sample_scene(rng, biased=bool(rng.random() < 0.5)) for _ in range(count))
    drawn = [
        draw_exam(scenes, rng, introduced=introduced, is_open=bool(rng.random() < 0.3))
        for _ in range(6)
    ]
    exams = [exam for exam in drawn if exam is not None]
    if not exams:
        return exam_row(rng)
    lessons = tuple(
        _lesson(
            f"mmmu {'closed' if e.options else 'open'}",
            e.marked_prompt if marked else e.prompt,
            e.answer,
        )
        for e in exams
    )
    drills = (*_whose(scenes, rng), *_lookups(scenes, rng))
    return Row(scenes, opening(count, introduced, marked), lessons + drills)


def opening(count: int, introduced: bool, marked: bool) -> str:
    """Return the text that shows `count` images, as chat or as simple adapters write it."""
    if marked:
        return f"{USER}{' '.join([IMAGE] * count)}\n"
    return USER + "".join(f"{lead(i, introduced)}{IMAGE}\n" for i in range(count))


COURSES = (beginner_row, single_image_row, exam_row)
"""The kinds of rows, in the order in which training brings them in."""
