"""Rows of lessons as arrays: the opening once, then each lesson in a block of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tiny_world.camera import STILL, Shot, draw_shot, photograph
from tiny_world.lessons import IMAGE, Row
from vlm_confidence_tasks.sandbox.render import SIDE
from vlm_confidence_tasks.sandbox.world import Scene, Thing, sample_scene

IGNORED = -100
"""Target of a token after which nothing is learned."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Packed:
    """Rows padded to one length.

    Attributes:
        images: The images of all rows in order, uint8, (images, SIDE, SIDE, 3).
        tokens: Token ids, (rows, length), as the next four.
        positions: Position of each token in its own conversation.
        blocks: 0 for what every lesson sees, the lesson's number, -1 for padding.
        targets: The token to predict next, or `IGNORED`.
        lengths: Number of learned tokens in the token's lesson.
        seen: Four tokens a patch of each image, the words for what stands where.
    """

    images: npt.NDArray[np.uint8]
    tokens: Ints
    positions: Ints
    blocks: Ints
    targets: Ints
    lengths: Ints
    seen: Ints


class Packer:
    """Turns rows into arrays with a tokenizer's ids."""

    def __init__(self, encode: Callable[[str], Sequence[int]], pad: int, patch: int) -> None:
        """Take the tokenizer's encoder and pad token, and the side of a patch in pixels."""
        # The same few thousand texts recur all the time.
        self._ids = lru_cache(maxsize=200_000)(lambda text: tuple(encode(text)))
        self._pad = pad
        self._patch, self._across = patch, SIDE // patch

    def _row(self, row: Row) -> Ints:
        """Return ids, positions, blocks, targets and answers' lengths as lines of an array."""
        opening = self._ids(row.opening.replace(IMAGE, IMAGE * self._across**2))
        blank = len(opening)
        columns = [list(opening), list(range(blank)), [0] * blank, [IGNORED] * blank, [1] * blank]
        ids, where, block, targets, lengths = columns
        for number, lesson in enumerate(row.lessons, start=1):
            start, learned = len(ids), 0
            for asked, answer in lesson.turns:
                read, wanted = self._ids(asked), self._ids(answer)
                ids += read + wanted
                # The token before each answer token predicts it.
                targets += [IGNORED] * (len(read) - 1) + [*wanted, IGNORED]
                learned += len(wanted)
            where += range(blank, blank + len(ids) - start)
            block += [number] * (len(ids) - start)
            lengths += [learned] * (len(ids) - start)
        return np.array(columns)

    def _seen(self, scene: Scene, shot: Shot) -> list[list[int]]:
        """Four words for each patch: colour, shape (or nothing, twice), column and row.

        A thing that is cut by patches' borders names the patch that has its centre.
        """
        things = {self._patch_of(thing, shot): thing for thing in scene.things}
        words = []
        for y, x in np.ndindex(self._across, self._across):
            thing = things.get((y, x))
            named = (thing.colour, thing.shape) if thing else ("nothing", "nothing")
            column = ("left", "center", "right")[(2 * x + 1) * 3 // (2 * self._across)]
            row = ("top", "center", "bottom")[(2 * y + 1) * 3 // (2 * self._across)]
            words.append((*named, column, row))
        return [[self._ids(f" {word}")[0] for word in four] for four in words]

    def _patch_of(self, thing: Thing, shot: Shot) -> tuple[int, int]:
        """Row and column of the patch that has a thing's centre, or the nearest one."""
        x, y = (int(place // self._patch) for place in shot.at(thing.x, thing.y))
        last = self._across - 1
        return min(max(y, 0), last), min(max(x, 0), last)

    def looks(self, rng: np.random.Generator, count: int) -> tuple[npt.NDArray[np.uint8], Ints]:
        """Draw scenes and take them: images and what their patches show, as in `Packed`."""
        scenes = [sample_scene(rng, biased=bool(rng.random() < 0.5)) for _ in range(count)]
        return self._taken(scenes, rng)

    def _taken(
        self, scenes: Sequence[Scene], camera: np.random.Generator | None
    ) -> tuple[npt.NDArray[np.uint8], Ints]:
        shots = [draw_shot(camera) if camera else STILL for _ in scenes]
        images = np.stack(list(map(photograph, scenes, shots)))
        return images, np.array(list(map(self._seen, scenes, shots)))

    def pack(self, rows: Sequence[Row], camera: np.random.Generator | None = None) -> Packed:
        """Pad rows to one length and take their images, as they are drawn without a camera."""
        lines = [self._row(row) for row in rows]
        longest = max(line.shape[1] for line in lines)
        full = np.empty((5, len(rows), longest), dtype=np.int64)
        full[:] = np.array([self._pad, 0, -1, IGNORED, 1])[:, None, None]
        for place, line in enumerate(lines):
            full[:, place, : line.shape[1]] = line
        scenes = [scene for row in rows for scene in row.scenes]
        images, seen = self._taken(scenes, camera)
        tokens, positions, blocks, targets, lengths = full
        return Packed(images, tokens, positions, blocks, targets, lengths, seen)
