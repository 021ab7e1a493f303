"""Scenes with exact masks, as questions to make examples of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from vlm_confidence_tasks.calibration.sources import Asked
from vlm_confidence_tasks.masks import QuestionMasks
from vlm_confidence_tasks.masks.sandbox import SandboxMasks
from vlm_confidence_tasks.sandbox.render import pale
from vlm_confidence_tasks.sandbox.world import Scene, sample_scene
from vlm_confidence_tasks.types import Question

ABSENT = "purple unicorn"


def scenes(count: int, root: int = 5) -> list[Scene]:
    return [sample_scene(np.random.default_rng([root, index])) for index in range(count)]


def finder(drawn: list[Scene]) -> QuestionMasks:
    return QuestionMasks(SandboxMasks(drawn))


def asked(drawn: list[Scene], name: str | None = None) -> Iterator[Asked]:
    """Ask about the first thing of each scene, or about another."""
    for index, scene in enumerate(drawn):
        text = f"Is there a {name or scene.names[0]} in the image?"
        yield Asked(Question(str(index), f"scene {index}", text), pale(scene), "Yes", index)


def black(side: int = 8) -> Image.Image:
    return Image.new("RGB", (side, side))
