"""SEED-Bench over the sandbox's scenes, in the hub's schema."""

from __future__ import annotations

from typing import Any

import numpy as np

from tiny_world.questions import CHOICES, Choice
from vlm_confidence_tasks.sandbox.render import png
from vlm_confidence_tasks.sandbox.world import EVALUATION, Scene, evaluation_scenes

ROOM = 3
IMAGES = 24
_VIDEO_KIND = 10


def _row(choice: Choice, name: str, scenes: list[Scene]) -> dict[str, Any]:
    """One question on one image, or on the frames of a video."""
    options = zip("abcd", choice.options, strict=True)
    return {
        **{f"choice_{letter}": text for letter, text in options},
        "answer": choice.letter,
        "data_id": name,
        "data_type": "image",
        "question": choice.text,
        "question_type_id": choice.kind,
        "image": [{"bytes": png(scene), "path": None} for scene in scenes],
        "segment": None,
    }


def _video() -> dict[str, Any]:
    """The row that an image-only task must leave out, as half of the hub's rows."""
    frames = list(evaluation_scenes(ROOM + 100, 3))
    options = ("Moving a circle", "Moving a square", "Moving a star", "Moving a cross")
    choice = Choice("What action happens in the video?", options, 0, _VIDEO_KIND)
    return _row(choice, "video_1.webm", frames) | {"data_type": "video", "segment": [0, 2]}


def seed_rows(images: int = IMAGES) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the only split: all kinds on every image, and a video."""
    rows: list[dict[str, Any]] = []
    rng = np.random.default_rng([EVALUATION, ROOM])
    for index, scene in enumerate(evaluation_scenes(ROOM, images)):
        drawn = [choice for kind in CHOICES if (choice := kind(scene, rng)) is not None]
        rows += [_row(choice, f"shapes_{index}", [scene]) for choice in drawn]
    rows.insert(len(rows) // 2, _video())
    return {"test": [row | {"question_id": str(101669 + i)} for i, row in enumerate(rows)]}
