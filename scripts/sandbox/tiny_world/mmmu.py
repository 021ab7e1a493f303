"""MMMU's validation split over the sandbox's scenes, in the hub's schema."""

from __future__ import annotations

from typing import Any

import numpy as np

from tiny_world.exams import Exam, draw_exam
from vlm_confidence_tasks.sandbox.render import png
from vlm_confidence_tasks.sandbox.world import EVALUATION, Scene, evaluation_scenes

ROOM = 4
QUESTIONS = 60
SUBFIELD = "Shapes"
_OPEN_EVERY = 5


def _row(number: int, exam: Exam, scenes: tuple[Scene, ...]) -> dict[str, Any]:
    """One question; the places of images that it does not have are null."""
    drawn: list[dict[str, Any] | None] = [{"bytes": png(scene), "path": None} for scene in scenes]
    drawn += [None] * (7 - len(drawn))
    return {
        "id": f"validation_{SUBFIELD}_{number}",
        "question": exam.question,
        "options": str(list(exam.options)),
        "explanation": "",
        **{f"image_{place}": image for place, image in enumerate(drawn, start=1)},
        "img_type": "['Geometric Shapes']",
        "answer": exam.answer,
        "topic_difficulty": ("Easy", "Medium", "Hard")[exam.images - 1],
        "question_type": "multiple-choice" if exam.options else "open",
        "subfield": SUBFIELD,
    }


def mmmu_rows() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the only split: one, two and three images in turn."""
    rows: list[dict[str, Any]] = []
    rng = np.random.default_rng([EVALUATION, ROOM])
    pool = list(evaluation_scenes(ROOM, 4 * QUESTIONS))
    while len(rows) < QUESTIONS:
        number = len(rows) + 1
        count = (1, 2, 2, 3)[number % 4]
        scenes, pool = tuple(pool[:count]), pool[count:]
        introduced = count > 1 and number % 3 == 0
        is_open = number % _OPEN_EVERY == 0
        exam = draw_exam(scenes, rng, introduced=introduced, is_open=is_open)
        if exam is not None:
            rows.append(_row(number, exam, scenes))
    return {"validation": rows}
