"""AMBER's discriminative part over the sandbox's scenes, in the hub's schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tiny_world.questions import QUERIES, Query
from vlm_confidence_tasks.sandbox.render import png
from vlm_confidence_tasks.sandbox.world import EVALUATION, Scene, evaluation_scenes

ROOM = 2
IMAGES = 24
_TYPES = {
    "existence": "discriminative-hallucination",
    "state": "discriminative-attribute-state",
    "number": "discriminative-attribute-number",
    "action": "discriminative-attribute-action",
}


def type_of(query: Query) -> str:
    """Return AMBER's type string; its relation questions have one for each answer."""
    if query.kind == "relation":
        return "discriminative-relation" if query.truth else "relation"
    return _TYPES[query.kind]


def _queries(scene: Scene, rng: np.random.Generator) -> Iterator[Query]:
    """Two questions of each kind, one of each answer; existence is always a "no"."""
    for kind in QUERIES:
        for truth in (True, False):
            asked = truth and kind is not QUERIES[0]
            if (query := kind(scene, rng, asked)) is not None:
                yield query


def amber_rows(images: int = IMAGES) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the only split; more images leave the first ones as they are."""
    rows: list[dict[str, Any]] = []
    rng = np.random.default_rng([EVALUATION, ROOM])
    for index, scene in enumerate(evaluation_scenes(ROOM, images)):
        image = {"bytes": png(scene), "path": f"AMBER_{index + 1}.png"}
        unique = dict.fromkeys(_queries(scene, rng))
        for query in unique:
            truth = "yes" if query.truth else "no"
            rows.append(
                {"image": image, "query": query.text, "type": type_of(query), "truth": truth}
            )
    return {"train": [{"id": i, **row} for i, row in enumerate(rows, start=1005)]}
