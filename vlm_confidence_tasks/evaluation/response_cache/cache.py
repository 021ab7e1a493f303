"""The response cache of a run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loguru import logger
from PIL import Image

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.evaluation.request import Generation, Request
from vlm_confidence_tasks.evaluation.response_cache.fingerprint import (
    Identities,
    UnknownWeights,
    extra_measures,
    images_fingerprint,
    model_fingerprint,
    request_fingerprint,
)
from vlm_confidence_tasks.evaluation.response_cache.serialization import (
    pack,
    pack_images,
    unpack,
    unpack_images,
)
from vlm_confidence_tasks.evaluation.response_cache.sqlite_journal import Entry, Journal

SUBFOLDER = "vlm_confidence"

# The engine's raw output and its measurements.
CachedAnswer = tuple[Generation, probe.Reading | None]


class ResponseCache:
    """Answers by request, in a journal; always empty without the user's folder."""

    def __init__(self, folder: Path | None = None, model: str = "", rank: int = 0) -> None:
        """Open the journal of the folder that `--use_cache` names, for a model's fingerprint."""
        self.folder = folder
        self.reused = self.added = 0
        self._model = model
        self._journal = None if folder is None else Journal(folder / SUBFOLDER, rank)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def find(self, request: Request, image_sha256: Callable[[], str]) -> CachedAnswer | None:
        """Return the cached answer to a request, None if there is none.

        `image_sha256` makes the image and returns its digest.
        """
        if not self._journal:
            return None
        key = request_fingerprint(self._model, request, image_sha256())
        packed = self._journal.find(key, extra_measures(request))
        if packed is None:
            return None
        self.reused += 1
        return unpack(packed)

    def add(self, answers: Iterable[tuple[Request, str, CachedAnswer]]) -> None:
        """Add answers, each with the digest of the images that were shown."""
        if self._journal is None:
            return
        entries = [
            Entry(
                request_fingerprint(self._model, request, image_sha256),
                extra_measures(request),
                pack(*answer),
            )
            for request, image_sha256, answer in answers
        ]
        if entries:
            self._journal.add(entries)
            self.added += len(entries)

    def find_images(self, request: Request, identities: Identities) -> list[Image.Image] | None:
        """Return the kept images of an attack, None if there are none.

        `identities` are what they depend on besides image, variant and provider.
        """
        if not self._journal:
            return None
        packed = self._journal.find(images_fingerprint(self._model, request, identities), {})
        return None if packed is None else unpack_images(packed)

    def add_images(
        self, request: Request, identities: Identities, images: Sequence[Image.Image]
    ) -> None:
        """Keep the images of an attack, so that a resumed run need not search again."""
        if self._journal is not None:
            key = images_fingerprint(self._model, request, identities)
            self._journal.add([Entry(key, {}, pack_images(images))])

    def summary(self, rank: int, ranks: int) -> str | None:
        """Return the line to log at the end of a run, None if nothing is cached."""
        if self._journal is None:
            return None
        prefix = f"rank {rank}: " if ranks > 1 else ""
        line = f"{prefix}reused {self.reused} of {self.reused + self.added} answers"
        damaged = self._journal.damaged
        return line if not damaged else f"{line}; damaged and generated again: {damaged}"


def open_cache(
    folder: Path | None,
    adapter: Any,
    source: probe.LogitSource,
    arguments: Mapping[str, Any] | None,
    rank: int,
) -> ResponseCache:
    """Open the cache of a run in the folder that `--use_cache` names; None: it was not given.

    `arguments` are the adapter's; None if they are unknown.
    """
    if folder is None:
        return ResponseCache()
    try:
        fingerprint = model_fingerprint(adapter, source, arguments)
    except UnknownWeights as error:
        logger.warning(
            f"--use_cache: answers of {type(adapter).__name__} are not cached, since its weights "
            f"cannot be identified: {error}"
        )
        return ResponseCache()
    return ResponseCache(folder, fingerprint, rank)
