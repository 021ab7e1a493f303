"""The requests of a run, in its order, without answers to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.evaluation.blank_image import blank_images, is_blank, with_blanks
from vlm_confidence_tasks.evaluation.follow_up import FollowUps
from vlm_confidence_tasks.evaluation.images import ShownImages
from vlm_confidence_tasks.evaluation.memory import image_memory
from vlm_confidence_tasks.evaluation.representations import Representations
from vlm_confidence_tasks.evaluation.request import (
    Generation,
    ImageSpec,
    Request,
    RequestKey,
    Response,
)
from vlm_confidence_tasks.evaluation.schedule import calls, work
from vlm_confidence_tasks.types import CLEAN, Variant

Size = tuple[int, int]
# What a call of the engine asks about; a control is the same question about other images.
KINDS = ("clean", "perturbed", "control", "blank", "second turn")


class PlannedImages:
    """The images of requests: of the right size, but with nothing in them."""

    def __init__(self) -> None:
        """Start without images."""
        self._clean: dict[ImageSpec, list[Size]] = {}
        self._shown: dict[Any, ShownImages] = {}

    def shown(self, request: Request) -> ShownImages:
        """Return a request's images; the same ones for requests that show the same."""
        key = identity(request)
        if key not in self._shown:
            images = tuple(Image.new("RGB", size) for size in self._sizes(request))
            self._shown[key] = ShownImages(images, "")
        return self._shown[key]

    def _sizes(self, request: Request) -> list[Size]:
        if is_blank(request.variant):
            return [image.size for image in blank_images(request.variant)]
        clean = request.key.image.clean
        if clean not in self._clean:
            document = request.document if request.other is None else request.other
            stored = request.task.documents.images(document)
            self._clean[clean] = [perturbations.fit(one, clean.max_side).size for one in stored]
        return [_perturbed_size(request.variant, size) for size in self._clean[clean]]

    def discard(self) -> None:
        """Drop all images; the sizes of stored ones are kept."""
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
) -> Iterator[tuple[str, list[Request]]]:
    """Yield the calls that a run makes to answer requests, nothing of it being cached.

    A second turn quotes the longest label as its answer, or as much text as may be generated.

    Args:
        requests: The requests of the run's documents.
        images: Gives the images; emptied after each block.
        batch_size: How many requests the engine runs at once.

    Yields:
        One of `KINDS`, and requests of one task.
    """
    representations, follow_ups = Representations(), FollowUps()
    follow_ups.expect(requests)
    blank: set[RequestKey] = set()
    controls = representations.control_requests(requests)
    for block in work(requests, controls, image_memory()):
        for call in calls(block, batch_size):
            first = call[0]
            own = "clean" if first.variant == CLEAN else "perturbed"
            yield own if first.other is None else "control", call
        sized = [
            (request, [image.size for image in images.shown(request).images])
            for request in with_blanks(block)
        ]
        new = [one for one in representations.blank_requests(sized) if one.key not in blank]
        blank.update(one.key for one in new)
        yield from (("blank", call) for call in calls(new, batch_size))
        answered = {request.key: _longest_answer(request) for request in block}
        second = follow_ups.take([request.key.image.source for request in block], answered)
        yield from (("second turn", call) for call in calls(second, batch_size))
        images.discard()


def _longest_answer(request: Request) -> Response:
    label = max(request.key.labels, key=len, default=None)
    most = json.loads(request.key.generation).get("max_new_tokens", 0)
    return Response(Generation(""), "a " * most, label, "", None, None)
