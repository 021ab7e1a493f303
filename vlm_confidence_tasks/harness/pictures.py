"""Perturbed images, made by threads ahead of the model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.harness.blanks import blank_images, is_blank
from vlm_confidence_tasks.harness.data import Documents
from vlm_confidence_tasks.harness.plan import Shown
from vlm_confidence_tasks.metrics import BANDS, band_powers
from vlm_confidence_tasks.types import CLEAN

# More threads than this only take the cores that the model itself needs.
WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Picture:
    """The images of one document as they are shown, and their digest."""

    images: tuple[Image.Image, ...]
    sha256: str


@dataclass(frozen=True)
class Wanted:
    """A picture to make.

    Attributes:
        documents: Where the stored image is.
        document: The document that holds it.
        shown: How it is to be shown.
        phrase: What a text overlay says; None for all else.
    """

    documents: Documents
    document: int
    shown: Shown
    phrase: str | None = None

    @property
    def clean(self) -> Wanted:
        """The untouched picture that this one is made from."""
        shown = Shown(self.shown.source, self.shown.max_side, CLEAN)
        return Wanted(self.documents, self.document, shown)

    @property
    def key(self) -> tuple[Shown, str | None]:
        """What makes two wishes the same picture, whichever document holds the image."""
        return self.shown, self.phrase


class Pictures:
    """Makes each picture once and keeps it until its block is over."""

    def __init__(self) -> None:
        """Start the threads."""
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="vlm-confidence-picture")
        self._made: dict[tuple[Shown, str | None], Future[Picture]] = {}
        self._spectra: dict[tuple[Shown, str | None], Future[Mapping[str, float]]] = {}

    def prepare(self, wanted: Wanted) -> Future[Picture]:
        """Begin to make a picture, unless that was begun before."""
        future = self._made.get(wanted.key)
        if future is None:
            # The clean picture is queued before those that wait for it, so that waiting
            # threads can never fill the pool.
            clean = None if _begins(wanted) else self.prepare(wanted.clean)
            future = self._pool.submit(_make, wanted, clean)
            self._made[wanted.key] = future
        return future

    def spectrum(self, wanted: Wanted) -> Future[Mapping[str, float]]:
        """Begin to measure a picture's power by band, unless that was begun before."""
        future = self._spectra.get(wanted.key)
        if future is None:
            # Both pictures are queued before what waits for them.
            picture, clean = self.prepare(wanted), self.prepare(wanted.clean)
            future = self._pool.submit(_measure, picture, clean)
            self._spectra[wanted.key] = future
        return future

    def forget(self, sources: Sequence[bytes]) -> None:
        """Drop all pictures of the given stored images."""
        gone = set(sources)
        for held in (self._made, self._spectra):
            for key in [key for key in held if key[0].source in gone]:
                del held[key]

    def close(self) -> None:
        """Stop the threads; pictures that were not begun are not made."""
        self._pool.shutdown(cancel_futures=True)


def _begins(wanted: Wanted) -> bool:
    """Whether a picture is made from nothing but what is stored, or not even that."""
    return wanted.shown.variant == CLEAN or is_blank(wanted.shown.variant)


def _make(wanted: Wanted, clean: Future[Picture] | None) -> Picture:
    if is_blank(wanted.shown.variant):
        shown = blank_images(wanted.shown.variant)
    elif clean is None:
        stored = wanted.documents.images(wanted.document)
        side = wanted.shown.max_side
        shown = [image if side is None else perturbations.fit(image, side) for image in stored]
    else:
        source = clean.result()
        digest = source.sha256 if len(source.images) == 1 else None
        phrase = wanted.phrase
        given = {} if phrase is None else {"clean_answer": perturbations.Given(phrase, phrase)}
        shown = [
            perturbations.apply(image, wanted.shown.variant, given=given, digest=digest)
            for image in source.images
        ]
    return Picture(tuple(shown), perturbations.images_digest(shown))


def _measure(picture: Future[Picture], clean: Future[Picture]) -> Mapping[str, float]:
    """Return the images' mean power in each band, at the clean images' sizes."""
    powers = [
        band_powers(np.asarray(_sized(image, as_stored.size)) / 255.0)
        for image, as_stored in zip(picture.result().images, clean.result().images, strict=True)
    ]
    found = {}
    for band in BANDS:
        values = [power[band] for power in powers]
        present = [value for value in values if value is not None]
        if present and len(present) == len(values):
            found[band] = sum(present) / len(present)
    return found


def _sized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
