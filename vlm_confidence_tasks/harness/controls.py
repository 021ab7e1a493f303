"""What drift is held against: the same vectors of other images of the run."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from vlm_confidence_tasks.metrics import control_drift

# "Same Answer, Different Representations" (arXiv 2602.06652) takes as many.
OTHERS = 25
_TAG = b"vlm_confidence_tasks.control/1"

# By channel; of length 1, for only directions are compared, in two bytes a number.
Units = Mapping[str, npt.NDArray[np.float16]]


@dataclass(frozen=True, eq=False)
class Shown:
    """The clean answer to one document of a task.

    Attributes:
        document: Its index.
        image: Digest of its stored images.
        prompt: What was asked.
        units: Its vectors.
    """

    document: int
    image: bytes
    prompt: str
    units: Units


def drawn(image: bytes, images: Sequence[bytes], count: int = OTHERS) -> list[bytes]:
    """Draw other images for an image.

    A function of the image and of which images there are: no order, process or other task
    has a say in it.

    Args:
        image: Digest of the image.
        images: Digests of all distinct images of the run, it among them, sorted.
        count: How many to draw; all others if there are fewer.
    """
    seed = int.from_bytes(hashlib.sha256(_TAG + image).digest(), "big")
    rng = np.random.Generator(np.random.SFC64(seed))
    others = len(images) - 1
    picked = rng.choice(others, size=min(count, others), replace=False).tolist() if others else []
    own = bisect_left(images, image)
    return [images[index + (index >= own)] for index in sorted(picked)]


def control_drifts(
    shown: Iterable[Shown], wanted: Iterable[int], count: int = OTHERS
) -> dict[int, dict[str, float]]:
    """Return the control drift by channel of the wanted documents of a task.

    Where images have several questions, a document is held against those in the same place:
    the second question about an image against the second about each other image, counted
    round where that has fewer. Questions about an image are ordered by their prompts, not as
    they stand in the data.

    Args:
        shown: Every document of the run, once.
        wanted: Indices of the documents to return.
        count: Of other images.
    """
    ordered = sorted(shown, key=attrgetter("image", "prompt", "document"))
    by_image = {image: list(group) for image, group in groupby(ordered, attrgetter("image"))}
    places = {s.document: (s, n) for group in by_image.values() for n, s in enumerate(group)}
    images = list(by_image)
    found = {}
    for document in wanted:
        own, place = places[document]
        groups = [by_image[image] for image in drawn(own.image, images, count)]
        found[document] = _drifts(own.units, [g[place % len(g)].units for g in groups])
    return found


def _drifts(own: Units, others: Sequence[Units]) -> dict[str, float]:
    """Return the mean drift to the others by channel, of those others that have it."""
    found = {}
    for channel, unit in own.items():
        rows = [other[channel] for other in others if channel in other]
        value = control_drift(unit, np.array(rows)) if rows else None
        if value is not None:
            found[channel] = value
    return found
