"""Lessons: what the tiny model is taught, as text over drawn scenes.

A row is one opening with its images and many lessons that each follow it on their
own. The model reads them as if every lesson were a conversation of its own, which is
what evaluation asks, while the images are encoded once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.sandbox.exams import draw_exam, lead
from vlm_confidence_tasks.sandbox.questions import CHOICES, QUERIES, Query, near_miss, pick
from vlm_confidence_tasks.sandbox.wording import (
    CAPTION,
    caption,
    certainty,
    first_person,
    open_prompt,
    pope_question,
    seed_prompt,
    short_prompt,
    third_person,
)
from vlm_confidence_tasks.sandbox.world import Scene, sample_scene

USER, ASSISTANT, END, IMAGE = "USER: ", " ASSISTANT:", "</s>", "<image>"
"""The pieces of the chat format; the model's chat template writes the same text."""


@dataclass(frozen=True)
class Lesson:
    """What follows the opening: `asked` is read, `answer` is learned; `kind` is for tables."""

    kind: str
    asked: str
    answer: str


@dataclass(frozen=True)
class Row:
    """Scenes, the text that shows them, and the lessons on them."""

    scenes: tuple[Scene, ...]
    opening: str
    lessons: tuple[Lesson, ...]


def _lesson(kind: str, prompt: str, answer: str) -> Lesson:
    return Lesson(kind, f"{prompt}{ASSISTANT}", f" {answer}{END}")


def _yes(truth: bool) -> str:
    return "Yes" if truth else "No"


def _pope(scene: Scene, rng: np.random.Generator) -> list[Query]:
    """Two objects that are there, two that are not."""
    there = [pick(rng, scene.names) for _ in range(2)]
    missing = [near_miss(rng, scene) for _ in range(2)]
    return [Query(pope_question(name), "pope", name in there) for name in there + missing]


def _amber(scene: Scene, rng: np.random.Generator, count: int) -> list[Query]:
    """Questions of different kinds, as many as fit the scene; relation always."""
    kinds = [QUERIES[-1], *(QUERIES[i] for i in rng.permutation(len(QUERIES) - 1)[: count - 1])]
    drawn = [kind(scene, rng, bool(rng.random() < 0.5)) for kind in kinds]
    return [query for query in drawn if query is not None]


def _letters(scene: Scene, rng: np.random.Generator, count: int) -> list[Lesson]:
    """SEED-Bench's letters; the last question is put without its options as well."""
    kinds = [CHOICES[i] for i in rng.permutation(len(CHOICES))[:count]]
    drawn = [choice for kind in kinds if (choice := kind(scene, rng)) is not None]
    lessons = [_lesson("seed", seed_prompt(c.text, c.options), c.letter) for c in drawn]
    for choice in drawn[:1] if drawn and drawn[0].kind != 2 else []:
        right = choice.options[choice.right].lower()
        lessons.append(_lesson("open", open_prompt(choice.text), right))
    return lessons


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
    return Lesson("verbal", first + second.asked, second.answer)


def single_image_row(rng: np.random.Generator) -> Row:
    """Draw a scene and lessons in every format that has one image."""
    scene = sample_scene(rng, biased=bool(rng.random() < 0.5))
    queries = _pope(scene, rng) + _amber(scene, rng, 4)
    lessons = [_lesson("caption", CAPTION, caption(scene))]
    lessons += [_lesson(q.kind, short_prompt(q.text), _yes(q.truth)) for q in queries]
    lessons += _letters(scene, rng, 2)
    lessons.append(_verbal(scene, rng, queries[int(rng.integers(len(queries)))]))
    return Row((scene,), f"{USER}{IMAGE}\n", tuple(lessons))


def exam_row(rng: np.random.Generator) -> Row:
    """Draw one to three scenes and MMMU questions on them, for chat or simple adapters."""
    count, style = int(rng.choice([1, 2, 2, 2, 3])), int(rng.integers(3))
    marked, introduced = style == 2, count > 1 and (style == 1 or bool(rng.random() < 0.3))
    scenes = tuple(sample_scene(rng, biased=bool(rng.random() < 0.5)) for _ in range(count))
    drawn = [
        draw_exam(scenes, rng, introduced=introduced, is_open=bool(rng.random() < 0.3))
        for _ in range(8)
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
