"""POPE over the sandbox's scenes, by the paper's own protocol (Li et al. 2023).

For every image each asked object that is there is followed by one that is not. The
absent one is drawn from all objects (random), is the most frequent object of the data
set (popular), or the one that most often shares an image with the object just asked
about (adversarial); no object is asked twice about an image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tiny_world.questions import pick
from tiny_world.wording import pope_question
from vlm_confidence_tasks.sandbox.render import png
from vlm_confidence_tasks.sandbox.world import EVALUATION, OBJECTS, Scene, evaluation_scenes

ROOM = 1
IMAGES = 30
PAIRS = 3
CATEGORIES = ("adversarial", "popular", "random")

Ranking = Callable[[str], Sequence[str]]


def _by_count(counts: Counter[str]) -> list[str]:
    """Objects from the most to the least counted; ties in the world's order."""
    return sorted(OBJECTS, key=lambda name: (-counts[name], OBJECTS.index(name)))


def popularity(scenes: Sequence[Scene]) -> list[str]:
    """Objects by the number of images that show them."""
    return _by_count(Counter(name for scene in scenes for name in scene.names))


def company(scenes: Sequence[Scene], name: str) -> list[str]:
    """Objects by the number of images that they share with this one."""
    shared = (other for scene in scenes if name in scene.names for other in scene.names)
    return _by_count(Counter(other for other in shared if other != name))


def _rankings(scenes: Sequence[Scene], rng: np.random.Generator) -> dict[str, Ranking]:
    """For each category, the objects to try as a negative after a given positive."""
    popular = popularity(scenes)
    return {
        "adversarial": lambda name: company(scenes, name),
        "popular": lambda name: popular,
        "random": lambda name: [OBJECTS[i] for i in rng.permutation(len(OBJECTS))],
    }


def pairs(scene: Scene, positives: Sequence[str], ranking: Ranking) -> list[tuple[str, str]]:
    """Return each positive with the first object of its ranking that is absent and new."""
    asked: list[tuple[str, str]] = []
    for name in positives:
        taken = {negative for _, negative in asked} | set(scene.names)
        asked.append((name, next(other for other in ranking(name) if other not in taken)))
    return asked


def _positives(scene: Scene, rng: np.random.Generator) -> list[str]:
    """Three of the objects that are there."""
    names = list(scene.names)
    chosen = [pick(rng, names)]
    while len(chosen) < PAIRS:
        chosen.append(pick(rng, [name for name in names if name not in chosen]))
    return chosen


def _category(
    scenes: Sequence[Scene], positives: Sequence[Sequence[str]], ranking: Ranking
) -> list[dict[str, Any]]:
    """The rows of one category, without `id` and `category`."""
    rows: list[dict[str, Any]] = []
    for index, (scene, there) in enumerate(zip(scenes, positives, strict=True)):
        source = f"SHAPES_test_{index:012d}"
        image = {"bytes": png(scene), "path": f"{source}.png"}
        for pair in pairs(scene, there, ranking):
            for name, answer in zip(pair, ("yes", "no"), strict=True):
                row = {"question": pope_question(name), "answer": answer}
                rows.append(row | {"image_source": source, "image": image})
    return [{"question_id": str(i), **row} for i, row in enumerate(rows, start=1)]


def pope_rows() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each split; as on the hub, question ids begin anew in each."""
    scenes = list(evaluation_scenes(ROOM, IMAGES))
    rng = np.random.default_rng([EVALUATION, ROOM])
    positives = [_positives(scene, rng) for scene in scenes]
    rankings = _rankings(scenes, rng)
    splits = {
        category: [row | {"category": category} for row in _category(scenes, positives, ranking)]
        for category, ranking in rankings.items()
    }
    splits["test"] = [row for category in CATEGORIES for row in splits[category]]
    return {
        split: [{"id": str(i), **row} for i, row in enumerate(rows)]
        for split, rows in splits.items()
    }
