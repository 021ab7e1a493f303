"""Makes perturbed images in threads while the model generates."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.benchmarks.dataset import Documents
from vlm_confidence_tasks.evaluation.blank_image import blank_images, is_blank
from vlm_confidence_tasks.evaluation.request import ImageSpec
from vlm_confidence_tasks.metrics import BANDS, band_powers
from vlm_confidence_tasks.types import CLEAN

# More threads would take cores that the model needs.
WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class ShownImages:
    """The images of one document as they are shown, and their digest."""

    images: tuple[Image.Image, ...]
    sha256: str


@dataclass(frozen=True)
class ImageJob:
    """Images to make; equal jobs give the same pixels.

    Attributes:
        spec: Which stored images, and how they are shown.
        identities: For each need, what its value depends on besides image and provider: the
            phrase, or prompt and labels.
        given: Functions from a clean image to the value of a need, by need.
    """

    spec: ImageSpec
    identities: tuple[tuple[str, tuple[str, ...]], ...]
    documents: Documents = field(compare=False)
    document: int = field(compare=False)
    given: Mapping[str, Callable[[Image.Image], object]] = field(compare=False)

    @property
    def clean(self) -> ImageJob:
        """The untouched images that these are made from."""
        return replace(self, spec=self.spec.clean, identities=(), given={})


class Images:
    """Makes the images of each job once and holds them until `discard`."""

    def __init__(self) -> None:
        """Start the threads."""
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="vlm-confidence-image")
        self._made: dict[ImageJob, Future[ShownImages]] = {}
        self._spectra: dict[ImageJob, Future[Mapping[str, float]]] = {}

    def prepare(self, job: ImageJob) -> Future[ShownImages]:
        """Start making a job's images, or return the future of an equal job."""
        future = self._made.get(job)
        if future is None:
            # Clean images are queued before the jobs that wait for them, so that waiting
            # threads cannot deadlock the pool.
            variant = job.spec.variant
            clean = None if variant == CLEAN or is_blank(variant) else self.prepare(job.clean)
            future = self._pool.submit(_make, job, clean)
            self._made[job] = future
        return future

    def holds(self, job: ImageJob) -> bool:
        """Whether a job's images are made or being made."""
        return job in self._made

    def hold(self, job: ImageJob, images: Sequence[Image.Image]) -> ShownImages:
        """Take images that were made before as a job's, and return them."""
        shown = ShownImages(tuple(images), perturbations.images_digest(images))
        future: Future[ShownImages] = Future()
        future.set_result(shown)
        self._made[job] = future
        return shown

    def spectrum(self, job: ImageJob) -> Future[Mapping[str, float]]:
        """Start measuring the images' power by band, or return the future of an equal job."""
        future = self._spectra.get(job)
        if future is None:
            # Both image sets are queued before the job that waits for them.
            shown, clean = self.prepare(job), self.prepare(job.clean)
            future = self._pool.submit(_measure, shown, clean)
            self._spectra[job] = future
        return future

    def discard(self, sources: Sequence[bytes]) -> None:
        """Drop all images that were made from the given stored images."""
        dropped = set(sources)
        for futures in (self._made, self._spectra):
            for job in [job for job in futures if job.spec.source in dropped]:
                del futures[job]

    def forget_failed(self) -> None:
        """Drop what failed, so that it is made anew when it is asked for again."""
        for held in (self._made, self._spectra):
            for job in [job for job, made in held.items() if made.done() and made.exception()]:
                del held[job]

    def close(self) -> None:
        """Stop the threads; jobs that have not started are cancelled."""
        self._pool.shutdown(cancel_futures=True)


def _make(job: ImageJob, clean: Future[ShownImages] | None) -> ShownImages:
    if is_blank(job.spec.variant):
        shown = blank_images(job.spec.variant)
    elif clean is None:
        stored = job.documents.images(job.document)
        shown = [perturbations.fit(image, job.spec.max_side) for image in stored]
    else:
        source = clean.result()
        digest = source.sha256 if len(source.images) == 1 else None
        shown = [_perturbed(image, job, digest) for image in source.images]
    return ShownImages(tuple(shown), perturbations.images_digest(shown))


def _perturbed(image: Image.Image, job: ImageJob, digest: str | None) -> Image.Image:
    given = {need: give(image) for need, give in job.given.items()}
    return perturbations.apply(image, job.spec.variant, given=given, digest=digest)


def _measure(shown: Future[ShownImages], clean: Future[ShownImages]) -> Mapping[str, float]:
    """Return the images' mean power in each band, at the clean images' sizes."""
    powers = [
        band_powers(np.asarray(image.resize(as_stored.size, Image.Resampling.BICUBIC)) / 255.0)
        for image, as_stored in zip(shown.result().images, clean.result().images, strict=True)
    ]
    found = {}
    for band in BANDS:
        values = [power[band] for power in powers]
        present = [value for value in values if value is not None]
        if present and len(present) == len(values):
            found[band] = sum(present) / len(present)
    return found
