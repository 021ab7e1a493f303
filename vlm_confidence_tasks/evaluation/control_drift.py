"""Control drift: the mean cosine drift between the clean vectors of different images."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from vlm_confidence_tasks.metrics import control_drift

# K of "Same Answer, Different Representations" (arXiv 2602.06652).
OTHERS = 25
_TAG = b"vlm_confidence_tasks.control/1"

# Vectors of length 1 by channel, in float16: only directions are compared.
Units = Mapping[str, npt.NDArray[np.float16]]


@dataclass(frozen=True, eq=False)
class CleanVectors:
    """The vectors of the clean answer to one document: of which image and prompt."""

    document: int
    image: bytes
    prompt: str
    units: Units


def draw_other_images(image: bytes, images: Sequence[bytes], count: int = OTHERS) -> list[bytes]:
    """Draw other images for an image, given their digests: `count`, or all if there are fewer.

    Depends on the image and the set of images only, not on order, process or other tasks.
    `images` are all distinct images of the run, sorted, the image itself included.
    """
    seed = int.from_bytes(hashlib.sha256(_TAG + image).digest(), "big")
    rng = np.random.Generator(np.random.SFC64(seed))
    others = len(images) - 1
    picked = rng.choice(others, size=min(count, others), replace=False).tolist() if others else []
    own = bisect_left(images, image)
    return [images[index + (index >= own)] for index in sorted(picked)]


def control_drifts(
    vectors: Iterable[CleanVectors], documents: Iterable[int], count: int = OTHERS
) -> dict[int, dict[str, float]]:
    """Return the control drift of documents of a task, by channel, given all clean vectors.

    Where images have several questions, a document is compared with those of the same rank:
    the second question about an image with the second about each other image, modulo the
    number of questions about that image. Questions about an image are ranked by prompt, so
    that their order in the data does not matter.
    """
    ordered = sorted(vectors, key=attrgetter("image", "prompt", "document"))
    by_image = {image: list(group) for image, group in groupby(ordered, attrgetter("image"))}
    ranked = {v.document: (v, rank) for group in by_image.values() for rank, v in enumerate(group)}
    images = list(by_image)
    found = {}
    for document in documents:
        own, rank = ranked[document]
        groups = [by_image[image] for image in draw_other_images(own.image, images, count)]
        found[document] = _drifts(own.units, [g[rank % len(g)].units for g in groups])
    return found


def _drifts(own: Units, others: Sequence[Units]) -> dict[str, float]:
    """Return the mean drift to the others by channel; others without the channel are skipped."""
    found = {}
    for channel, unit in own.items():
        rows = [other[channel] for other in others if channel in other]
        value = control_drift(unit, np.array(rows)) if rows else None
        if value is not None:
            found[channel] = value
    return found
