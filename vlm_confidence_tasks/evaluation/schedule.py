"""The order of requests: each key once, in blocks of images, clean before perturbed."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from vlm_confidence_tasks.evaluation.request import ImageSpec, Request, RequestKey
from vlm_confidence_tasks.types import CLEAN

# Perturbed images per block; together with the next block, which is prepared at the same time,
# about 300 MB at 1024 x 768.
BLOCK_IMAGES = 64
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


def work(requests: Iterable[Request], controls: Iterable[Request]) -> list[list[Request]]:
    """Return the blocks of a run, given the requests of its documents and the controls.

    Controls ask the same questions about other images. They come last, since they are compared,
    as they come, with the clean answers of other images.
    """
    new = distinct([*requests, *controls])
    own = [request for request in new if request.other is None]
    last = [request for request in new if request.other is not None]
    return [*blocks(own), *blocks(last)]


def blocks(requests: Sequence[Request], limit: int = BLOCK_IMAGES) -> Iterator[list[Request]]:
    """Split requests into blocks of images, in order of first appearance.

    All requests about a stored image are in one block, so that its variants can depend on its
    clean answers and its pixels are made once. A block has at most `limit` shown images, or
    more if a single stored image has more.
    """
    by_image: dict[bytes, list[Request]] = {}
    for request in requests:
        by_image.setdefault(request.key.image.source, []).append(request)
    block: list[Request] = []
    shown = 0
    for group in by_image.values():
        count = len({request.key.image for request in group})
        if block and shown + count > limit:
            yield block
            block, shown = [], 0
        block.extend(group)
        shown += count
    if block:
        yield block


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
