"""The requests of a run, in its order, without answers to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.evaluation.blank_image import blank_images, is_blank, with_blanks
from vlm_confidence_tasks.evaluation.follow_up import FollowUps
from vlm_confidence_tasks.evaluation.images import ShownImages
from vlm_confidence_tasks.evaluation.representations import Representations
from vlm_confidence_tasks.evaluation.request import Generation, Request, RequestKey, Response
from vlm_confidence_tasks.evaluation.schedule import calls, work
from vlm_confidence_tasks.types import CLEAN, Variant

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class PlannedCall:
    """One call of the engine.

    Attributes:
        requests: Its requests, of one task.
        kind: "clean", "perturbed", "control" (the same question about other images), "blank" or
            "second turn".
    """

    requests: Sequence[Request]
    kind: str


class PlannedImages:
    """The images of requests: of the right size, but with nothing in them."""

    def __init__(self) -> None:
        """Start without images."""
        self._stored: dict[tuple[bytes, int | None], tuple[Size, ...]] = {}
        self._shown: dict[Any, ShownImages] = {}

    def sizes(self, request: Request) -> tuple[Size, ...]:
        """Return the (width, height) of a request's images."""
        if is_blank(request.variant):
            return tuple(image.size for image in blank_images(request.variant))
        spec = request.key.image
        found = self._stored.get((spec.source, spec.max_side))
        if found is None:
            document = request.document if request.other is None else request.other
            stored = request.task.documents.images(document)
            side = spec.max_side
            fitted = stored if side is None else [perturbations.fit(one, side) for one in stored]
            found = tuple(image.size for image in fitted)
            self._stored[spec.source, spec.max_side] = found
        return tuple(_perturbed_size(request.variant, size) for size in found)

    def shown(self, request: Request) -> ShownImages:
        """Return a request's images; the same ones for requests that show the same."""
        key = identity(request)
        if key not in self._shown:
            images = tuple(Image.new("RGB", size) for size in self.sizes(request))
            self._shown[key] = ShownImages(images, "")
        return self._shown[key]

    def discard(self) -> None:
        """Drop all images."""
        self._shown.clear()


def is_adaptive(request: Request) -> bool:
    """Whether a request's images depend on more than the stored ones and the variant."""
    return not is_blank(request.variant) and bool(perturbations.needs_of(request.variant))


def identity(request: Request) -> Any:
    """Return what is equal for requests that show the same images.

    What adaptive images depend on (a clean answer, a question) is not known yet: each question is
    taken to have an image of its own, which is the most.
    """
    return request.opening.key if is_adaptive(request) else request.key.image


@cache
def _perturbed_size(variant: Variant, size: Size) -> Size:
    """Return the size of an image as a variant shows it: that of an empty one."""
    if variant == CLEAN:
        return size
    neutral: dict[str, object] = {
        "clean_answer": "-",
        "masks": {"-": np.zeros(size[::-1], np.bool_)},
        "gradient": lambda image: np.zeros((image.height, image.width, 3), np.float32),
    }
    given: dict[str, object] = {need: neutral[need] for need in perturbations.needs_of(variant)}
    shown: Size = perturbations.apply(Image.new("RGB", size), variant, given=given).size
    return shown


def planned_calls(
    requests: Sequence[Request], images: PlannedImages, batch_size: int
) -> Iterator[PlannedCall]:
    """Yield the calls that a run makes to answer requests, nothing of it being cached.

    A second turn quotes the longest label as its answer, or as much text as may be generated.

    Args:
        requests: The requests of the run's documents.
        images: Gives the sizes of images; emptied after each block.
        batch_size: How many requests the engine runs at once.
    """
    representations, follow_ups = Representations(), FollowUps()
    follow_ups.expect(requests)
    blank: set[RequestKey] = set()
    for block in work(requests, representations.control_requests(requests)):
        for call in calls(block, batch_size):
            yield PlannedCall(call, _kind(call[0]))
        sized = [(request, images.sizes(request)) for request in with_blanks(block)]
        new = [one for one in representations.blank_requests(sized) if one.key not in blank]
        blank.update(one.key for one in new)
        for call in calls(new, batch_size):
            yield PlannedCall(call, "blank")
        sources = [request.key.image.source for request in block]
        answered = {request.key: _longest_answer(request) for request in block}
        for call in calls(follow_ups.take(sources, answered), batch_size):
            yield PlannedCall(call, "second turn")
        images.discard()


def _kind(request: Request) -> str:
    if request.other is not None:
        return "control"
    return "clean" if request.variant == CLEAN else "perturbed"


def _longest_answer(request: Request) -> Response:
    label = max(request.key.labels, key=len, default=None)
    most = json.loads(request.key.generation).get("max_new_tokens", 0)
    return Response(Generation(""), "a " * most, label, "", None, None)
