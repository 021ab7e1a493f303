"""Lessons: what the tiny model is taught, as text over drawn scenes.

A row is one opening with its images and many lessons that each follow it on their
own. The model reads them as if every lesson were a conversation of its own, which is
what evaluation asks, while the images are encoded once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tiny_world import drills
from tiny_world.drills import Lesson, yes
from tiny_world.exams import draw_exam, lead
from tiny_world.questions import CHOICES, QUERIES, Query, near_miss, pick
from tiny_world.wording import (
    CAPTION,
    caption,
    certainty,
    first_person,
    pope_question,
    seed_prompt,
    short_prompt,
    third_person,
)
from vlm_confidence_tasks.sandbox.world import Scene, sample_scene

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
class Row:
    """Scenes, the text that shows them, and the lessons on them."""

    scenes: tuple[Scene, ...]
    opening: str
    lessons: tuple[Lesson, ...]


def _lesson(kind: str, prompt: str, answer: str) -> Lesson:
    return Lesson(kind, ((f"{prompt}{ASSISTANT}", f" {answer}{END}"),))


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
    answer = yes(query.truth == right)
    asked = query.text if rng.random() < 0.6 else short_prompt(query.text)
    person = third_person if rng.random() < 0.5 else first_person
    second = _lesson("verbal", person(asked, answer), certainty(scene, right))
    if rng.random() < 0.7:
        return second
    first = f"{short_prompt(query.text)}{ASSISTANT} {answer}{END}{USER}"
    ((asked_again, percentage),) = second.turns
    return Lesson("verbal", ((first + asked_again, percentage),))


def beginner_row(rng: np.random.Generator) -> Row:
    """Draw a scene with drills."""
    scene = sample_scene(rng, biased=bool(rng.random() < 0.5))
    lessons = [_lesson("caption", CAPTION, caption(scene)), drills.places(scene, rng)]
    lessons += [*drills.attributes(scene, rng), drills.checks(scene, rng, 14)]
    lessons += [*drills.where(scene, rng), *drills.sides(scene, rng)]
    lessons += [drills.counts(scene, rng), drills.doubts(scene, rng, 2)]
    lessons.append(drills.options(scene, rng, 4))
    lessons += [_lesson(q.kind, short_prompt(q.text), yes(q.truth)) for q in _pope(scene, rng, 2)]
    return Row((scene,), f"{USER}{IMAGE}\n", tuple(lessons))


def single_image_row(rng: np.random.Generator) -> Row:
    """Draw a scene and lessons in every format that has one image."""
    scene = sample_scene(rng, biased=bool(rng.random() < 0.5))
    queries = _pope(scene, rng, 2) + _amber(scene, rng, 4)
    lessons = [_lesson(q.kind, short_prompt(q.text), yes(q.truth)) for q in queries]
    asked = [queries[i] for i in rng.permutation(len(queries))[:3]]
    lessons += [_verbal(scene, rng, query) for query in asked]
    lessons += [*_letters(scene, rng, 2), drills.options(scene, rng, 4)]
    lessons += [drills.picks(scene, rng, 2), drills.doubts(scene, rng, 1)]
    lessons.append(drills.counts(scene, rng))
    if rng.random() < 0.5:
        lessons.append(_lesson("caption", CAPTION, caption(scene)))
    else:
        lessons += [*drills.where(scene, rng), *drills.sides(scene, rng)]
    return Row((scene,), f"{USER}{IMAGE}\n", tuple(lessons))


def exam_beginner_row(rng: np.random.Generator) -> Row:
    """Draw two or three scenes with drills alone.

    Among exams the drills on several images teach next to nothing: of rows that have both, 478
    steps left which image shows an object at 5%, where 860 steps of drills brought it to 77%.
    """
    count, introduced = int(rng.integers(2, 4)), bool(rng.random() < 0.5)
    scenes = tuple(sample_scene(rng, biased=bool(rng.random() < 0.5)) for _ in range(count))
    lessons = (*drills.whose(scenes, rng), *drills.lookups(scenes, rng))
    lessons += (drills.exam_options(scenes, rng, 3),)
    return Row(scenes, opening(count, introduced, marked=False), lessons)


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
    return Row(scenes, opening(count, introduced, marked), lessons)


def opening(count: int, introduced: bool, marked: bool) -> str:
    """Return the text that shows `count` images, as chat or as simple adapters write it."""
    if marked:
        return f"{USER}{' '.join([IMAGE] * count)}\n"
    return USER + "".join(f"{lead(i, introduced)}{IMAGE}\n" for i in range(count))


COURSES = (beginner_row, exam_beginner_row, single_image_row, exam_row)
"""The kinds of rows, in the order in which training brings them in."""
