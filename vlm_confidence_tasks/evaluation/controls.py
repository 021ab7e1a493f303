"""Controls: what drift between different images is, for their own question and the same one."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from vlm_confidence_tasks.benchmarks.dataset import Documents
from vlm_confidence_tasks.evaluation.request import Request
from vlm_confidence_tasks.metrics import control_drift
from vlm_confidence_tasks.types import CLEAN

# K of "Same Answer, Different Representations" (arXiv 2602.06652).
OTHERS = 25
# Other images of which a document's own question is asked too: five clean answers in place of one.
CONTROLS = 4
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


class OtherImages:
    """The images of a task's data, from which controls are drawn.

    All images of the data are drawn from, not only those of the run, so that a document has
    the same controls whatever `--limit`, `--offset` or the number of processes. Only documents
    with as many images are drawn, since prompts may refer to their images by number.
    """

    def __init__(self, documents: Documents) -> None:
        """Sort the distinct images by how many there are of a document."""
        digests, counts = documents.digests(), documents.image_counts()
        self._count = dict(zip(digests, counts, strict=True))
        # The first document of each: those with equal digests have equal images.
        self._document = {digest: n for n, digest in reversed(list(enumerate(digests)))}
        self._images = {
            count: sorted(digest for digest, own in self._count.items() if own == count)
            for count in set(counts)
        }

    def draw(self, image: bytes) -> list[tuple[bytes, int]]:
        """Return up to `CONTROLS` other images of an image: digest and document of each.

        All questions about an image have the same ones. The draw depends on the image and the
        set of images only.
        """
        drawn = draw_other_images(image, self._images[self._count[image]], CONTROLS)
        return [(digest, self._document[digest]) for digest in drawn]


def control_requests(request: Request, images: OtherImages) -> list[Request]:
    """Return the requests that ask a clean request's question about other images of its task."""
    return [
        replace(
            request,
            # After the indices of the requests and of their second turns.
            index=(2 + position) * request.task.indices + request.index,
            key=replace(request.key, image=replace(request.key.image, source=digest)),
            options=(),
            other=document,
        )
        for position, (digest, document) in enumerate(images.draw(request.key.image.source))
    ]


def with_controls(requests: Iterable[Request]) -> list[Request]:
    """Return the requests of clean images whose question is asked about other images too."""
    return [
        request
        for request in requests
        if request.task.settings.control and request.representations and request.variant == CLEAN
    ]
