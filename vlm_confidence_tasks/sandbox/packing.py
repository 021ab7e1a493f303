"""Rows of lessons as arrays: the opening once, then each lesson in a block of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vlm_confidence_tasks.sandbox.lessons import IMAGE, USER, Row
from vlm_confidence_tasks.sandbox.render import SIDE, render
from vlm_confidence_tasks.sandbox.world import PLACES, Scene

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
        lengths: Length of the answer in the token's lesson.
        seen: Two tokens a patch of each image, the words for what stands there.
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
        centres = range(patch // 2, SIDE, patch)
        self._cells = [3 * (y * 3 // SIDE) + x * 3 // SIDE for y in centres for x in centres]

    def _row(self, row: Row) -> Ints:
        """Return ids, positions, blocks, targets and answers' lengths as lines of an array."""
        opening = self._ids(row.opening.replace(IMAGE, IMAGE * len(self._cells)))
        ids, where = list(opening), list(range(len(opening)))
        block, targets, lengths = [0] * len(opening), [IGNORED] * len(opening), [1] * len(opening)
        for number, lesson in enumerate(row.lessons, start=1):
            again = USER if row.joined and number > 1 else ""
            asked, answer = self._ids(again + lesson.asked), self._ids(lesson.answer)
            length, first = len(asked) + len(answer), len(ids if row.joined else opening)
            ids += asked + answer
            where += range(first, first + length)
            block += [0 if row.joined else number] * length
            lengths += [len(answer)] * length
            # The token before each answer token predicts it.
            targets += [IGNORED] * (len(asked) - 1) + [*answer, IGNORED]
        return np.array([ids, where, block, targets, lengths])

    def _seen(self, scene: Scene) -> list[list[int]]:
        """Colour and shape of the thing in each patch's cell, as tokens; or nothing, twice."""
        words = [("nothing", "nothing")] * len(PLACES)
        for thing in scene.things:
            words[thing.cell] = (thing.colour, thing.shape)
        ids = [[self._ids(f" {word}")[0] for word in pair] for pair in words]
        return [ids[cell] for cell in self._cells]

    def pack(self, rows: Sequence[Row]) -> Packed:
        """Pad rows to one length and draw their images."""
        lines = [self._row(row) for row in rows]
        longest = max(line.shape[1] for line in lines)
        full = np.empty((5, len(rows), longest), dtype=np.int64)
        full[:] = np.array([self._pad, 0, -1, IGNORED, 1])[:, None, None]
        for place, line in enumerate(lines):
            full[:, place, : line.shape[1]] = line
        scenes = [scene for row in rows for scene in row.scenes]
        images = np.stack([np.asarray(render(scene)) for scene in scenes])
        seen = np.array([self._seen(scene) for scene in scenes])
        tokens, positions, blocks, targets, lengths = full
        return Packed(images, tokens, positions, blocks, targets, lengths, seen)
