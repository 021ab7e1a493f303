"""The order of requests: each key once, in blocks of images, clean before perturbed."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from vlm_confidence_tasks.evaluation.request import ImageSpec, Request, RequestKey
from vlm_confidence_tasks.perturbations import fitted_size
from vlm_confidence_tasks.types import CLEAN

# Perturbed images per block, where memory allows as many.
BLOCK_IMAGES = 64
# What Pillow takes for a pixel of an RGB image.
PIXEL_BYTES = 4
# Answers are cached after each call, so a kill loses at most one call: with this many requests
# a minute or two on large models.
CALL_REQUESTS = 96


def distinct(requests: Iterable[Request]) -> list[Request]:
    """Return one request for each key, in order of first appearance.

    It is the first one, or the first one that scores options; hidden states are captured if
    any request of the key needs them.
    """
    chosen: dict[RequestKey, Request] = {}
    captured = set()
    for request in requests:
        if not chosen.setdefault(request.key, request).options and request.options:
            chosen[request.key] = request
        if request.representations:
            captured.add(request.key)
    return [
        replace(request, representations=True)
        if key in captured and not request.representations
        else request
        for key, request in chosen.items()
    ]


def work(
    requests: Iterable[Request], controls: Iterable[Request], memory: float = math.inf
) -> list[list[Request]]:
    """Return the blocks of a run, given the requests of its documents and the controls.

    Two blocks are held at once, the second while it is prepared: each has half of the memory.
    Controls ask the same questions about other images. They come last, since they are compared,
    as they come, with the clean answers of other images.
    """
    new = distinct([*requests, *controls])
    own = [request for request in new if request.other is None]
    last = [request for request in new if request.other is not None]
    return [*blocks(own, memory=memory / 2), *blocks(last, memory=memory / 2)]


def blocks(
    requests: Sequence[Request], limit: int = BLOCK_IMAGES, memory: float = math.inf
) -> Iterator[list[Request]]:
    """Split requests into blocks of images, in order of first appearance.

    All requests about a stored image are in one block, so that its variants can depend on its
    clean answers and its pixels are made once. A block has at most `limit` shown images in at most
    `memory` bytes, or more if a single stored image has more.
    """
    by_image: dict[bytes, list[Request]] = {}
    for request in requests:
        by_image.setdefault(request.key.image.source, []).append(request)
    block: list[Request] = []
    shown, held = 0, 0
    for group in by_image.values():
        count = len({request.key.image for request in group})
        size = count * image_bytes(group[0])
        if block and (shown + count > limit or held + size > memory):
            yield block
            block, shown, held = [], 0, 0
        block.extend(group)
        shown += count
        held += size
    if block:
        yield block


def image_bytes(request: Request) -> int:
    """Return what the clean images of a request take in memory; perturbed ones about as much."""
    document = request.document if request.other is None else request.other
    sizes = request.task.documents.sizes()[document]
    shown = (fitted_size(size, request.key.image.max_side) for size in sizes)
    return sum(PIXEL_BYTES * width * height for width, height in shown)


def calls(requests: Sequence[Request], batch_size: int = 1) -> Iterator[list[Request]]:
    """Split requests into calls of the engine: clean before variants, one task at a time.

    One task, since adapters use the task of a batch's first request for the whole batch. Requests
    about one shown image stand together, so that an adapter can share what their prompts have in
    common. A call has about `CALL_REQUESTS` requests at most and ends with a full batch, or
    between two images.
    """
    most = batch_size * math.ceil(CALL_REQUESTS / batch_size)
    places: dict[ImageSpec, int] = {}
    for request in requests:
        places.setdefault(request.key.image, len(places))

    def order(request: Request) -> tuple[Any, ...]:
        return (request.variant != CLEAN, request.task.name)

    def place(request: Request) -> tuple[Any, ...]:
        return (*order(request), places[request.key.image])

    for _, group in groupby(sorted(requests, key=place), key=order):
        same = list(group)
        while same:
            end = _end(same, most)
            yield same[:end]
            same = same[end:]


def _end(requests: Sequence[Request], most: int) -> int:
    """Return how many requests a call has: it ends between images if that leaves it half full."""
    if len(requests) <= most:
        return len(requests)
    images = [request.key.image for request in requests[: most + 1]]
    between = (end for end in range(most, most // 2, -1) if images[end] != images[end - 1])
    return next(between, most)
