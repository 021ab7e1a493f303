"""Answers requests from the cache or the engine, and retries failed ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from loguru import logger
from PIL.Image import Image

from vlm_confidence_tasks import perturbations, probe
from vlm_confidence_tasks.benchmarks import NamedLabel, find_answer
from vlm_confidence_tasks.errors import MeasurementError, Place, RequestError, one_line
from vlm_confidence_tasks.evaluation.answer_checks import check_answer
from vlm_confidence_tasks.evaluation.batch_tracker import BatchTracker
from vlm_confidence_tasks.evaluation.blank_image import is_blank
from vlm_confidence_tasks.evaluation.engine import Engine
from vlm_confidence_tasks.evaluation.failures import Failures, located
from vlm_confidence_tasks.evaluation.images import ImageJob, Images, ShownImages
from vlm_confidence_tasks.evaluation.progress import Progress
from vlm_confidence_tasks.evaluation.representations import Representations
from vlm_confidence_tasks.evaluation.request import Generation, Request, RequestKey, Response
from vlm_confidence_tasks.evaluation.response_cache import ResponseCache

# What takes passes of the model, and must wait until the engine is idle.
_MODEL_NEEDS = frozenset({"gradient", "objective"})


class Runner:
    """Answers requests, retries those that failed, and holds the responses.

    Attributes:
        failed: Keys of requests that failed and may be left out.
    """

    def __init__(
        self,
        engine: Engine,
        cache: ResponseCache,
        representations: Representations,
        failures: Failures,
        dependents: Callable[[Request], Iterable[Place]],
    ) -> None:
        """Start the image threads; `dependents` tells which documents need an answer."""
        self.responses: dict[RequestKey, Response] = {}
        self.failed: set[RequestKey] = set()
        self._engine = engine
        self._cache = cache
        self._representations = representations
        self._failures = failures
        self._dependents = dependents
        self._images = Images()
        self._jobs: dict[RequestKey, ImageJob] = {}
        self._in_call: dict[tuple[str, int], Request] = {}
        self._warned_of_thinking = False

    def close(self) -> None:
        """Stop the threads, and restore the adapter's batch size."""
        self._images.close()
        self._engine.batch_size.restore()

    @property
    def batch_size(self) -> int:
        """How many requests the engine runs at once; 1 if that is unknown."""
        return self._engine.batch_size.now or 1

    @contextmanager
    def measuring(self, progress: Progress, representations: bool) -> Iterator[None]:
        """Measure answers in the block; `run` must be called inside it.

        `representations` tells whether hidden states are captured for any request.
        """
        self._progress = progress
        self._tracker = BatchTracker(progress.add)
        with self._engine.source.reading(self._tracker, representations):
            yield

    def run(self, requests: Sequence[Request]) -> None:
        """Answer the requests of one call: all clean, or all with clean answers available.

        After an out-of-memory error the rest is repeated with half the batch size. After other
        errors it is repeated one by one if failures are allowed, to find those that fail.

        Raises:
            MeasurementError: More requests failed than allowed.
        """
        unanswerable = [
            r for r in requests if r.clean in self.failed or r.opening.key in self.failed
        ]
        self.failed.update(request.key for request in unanswerable)
        self._progress.add(len(unanswerable))
        requests = [request for request in requests if request.key not in self.failed]
        # The clean answers are available by now, so that all images can be made.
        self.prepare(requests, answered=True)
        before = self._progress.done
        try:
            self._answer(requests)
            self._progress.move_to(before + len(requests))
            return
        except MeasurementError as error:
            rest = [request for request in requests if request.key not in self.responses]
            self._progress.move_to(before + len(requests) - len(rest))
            smaller = probe.out_of_memory(error.__cause__) and self._engine.batch_size.halve()
            if not smaller and not self._failures.any_allowed:
                raise
            if not smaller and len(rest) == 1:
                self._progress.add(1)
                self._fail(rest[0], error)
                return
        # Outside of the handler, since the exception references what filled the memory.
        if smaller:
            self._images.forget_failed()
            probe.free_memory()
            logger.warning(
                f"out of memory: repeating with batch size {self._engine.batch_size.now}"
            )
            self.run(rest)
            return
        for request in rest:
            self.run([request])

    def _fail(self, request: Request, error: MeasurementError) -> None:
        """Record that a request failed, and with it every document that needs it."""
        self.failed.add(request.key)
        logger.warning(f"left out: {error}")
        self._failures.add(error, list(self._dependents(request)))

    def _answer(self, requests: Sequence[Request]) -> None:
        """Answer requests from the cache, the others by one call of the engine."""
        uncached = []
        for request in requests:
            with located(request.place):
                found = self._cache.find(request, partial(self._digest, request))
                if found is None:
                    uncached.append(request)
                else:
                    self._respond(request, *found)
        self._progress.add(len(requests) - len(uncached))
        if uncached:
            self._call(uncached)

    def _call(self, requests: Sequence[Request]) -> None:
        """Answer requests with the engine and cache the responses.

        Raises:
            MeasurementError: One of them could not be answered; all others have responses.
        """
        for request in requests:
            if _MODEL_NEEDS & _needs(request):
                self.images(request)
        self._in_call = {(request.task.name, request.index): request for request in requests}
        self._tracker.clear()
        raised: Exception | None = None
        returned: Sequence[Generation] = ()
        try:
            returned = self._engine.generate(requests)
        except Exception as error:
            raised = error
        self._tracker.finish(requests, raised)
        if len(returned) != len(requests):
            with located(requests[0].place):
                raise RequestError(
                    f"{self._engine.name} returned {len(returned)} answers to {len(requests)} "
                    "requests, so that answers cannot be matched to requests; nothing was scored"
                )
        first: MeasurementError | None = None
        answered = []
        try:
            for request, generation in zip(requests, returned, strict=True):
                try:
                    with located(request.place):
                        served = self._engine.source.served(generation.text)
                        generation = replace(generation, served=served)
                        reading = self._reading(request, generation)
                        response = self._respond(request, generation, reading)
                except MeasurementError as error:
                    first = first or error
                else:
                    answered.append((request, response.image_sha256, (generation, reading)))
        finally:
            self._cache.add(answered)
        if first is not None:
            raise first

    def _reading(self, request: Request, generation: Generation) -> probe.Reading | None:
        """Return the reading of a new answer: measured in generate(), or returned with its text."""
        reading = self._tracker.reading(request)
        if reading is None and generation.failure is None:
            try:
                reading = self._engine.source.read(generation.text, request.key.labels)
            except RequestError:
                raise
            except Exception as error:
                raise RequestError(
                    f"the numbers that {self._engine.name} returned cannot be read: "
                    f"{one_line(error)}; nothing was scored: see its logit_source"
                ) from error
        if reading is not None and not request.representations:
            reading = replace(reading, inside=None)
        return reading

    def look_up(self, task: str, index: int) -> tuple[Request, ShownImages]:
        """Return the request that an adapter looks up, with its images, and record the look-up."""
        request = self._in_call[task, index]
        self._tracker.looked_up(request)
        try:
            return request, self.images(request)
        except MeasurementError as error:
            self._tracker.fail(error)
            raise

    def announce(self, rows: Sequence[tuple[str, int]]) -> None:
        """Set the rows of the next generate(), each a task's name and a request's index."""
        self._tracker.announce([self._in_call[row] for row in rows])

    def prepare(self, requests: Iterable[Request], answered: bool = False) -> None:
        """Start making images; those that depend on clean answers only if these are available.

        Those that need the model itself wait for their call, when it is idle.
        """
        for request in requests:
            needs = _needs(request)
            if not _MODEL_NEEDS & needs and (answered or "clean_answer" not in needs):
                job = self._job(request)
                self._images.prepare(job)
                if self._has_spectrum(request):
                    self._images.spectrum(job)

    def images(self, request: Request) -> ShownImages:
        """Return the images of a request, or raise MeasurementError."""
        with located(request.place):
            return self._shown(request)

    def discard(self, sources: Sequence[bytes]) -> None:
        """Drop all images that were made from the given stored images."""
        self._images.discard(sources)
        dropped = set(sources)
        for key in [key for key in self._jobs if key.image.source in dropped]:
            del self._jobs[key]

    def _shown(self, request: Request) -> ShownImages:
        try:
            if _MODEL_NEEDS & _needs(request):
                return self._attacked(request)
            return self._images.prepare(self._job(request)).result()
        except RequestError:
            raise
        except Exception as error:
            # Decoders also raise other types, such as SyntaxError for a broken PNG chunk.
            raise RequestError(
                f"cannot make its image: {one_line(error)}; repair the image or leave it out"
            ) from error

    def _attacked(self, request: Request) -> ShownImages:
        """Return images that took passes of the model: of this run, of the cache, or made now."""
        job = self._job(request)
        if self._images.holds(job):
            return self._images.prepare(job).result()
        kept = self._cache.find_images(request, job.identities)
        if kept is not None:
            return self._images.hold(job, kept)
        shown = self._images.prepare(job).result()
        self._cache.add_images(request, job.identities, shown.images)
        return shown

    def _digest(self, request: Request) -> str:
        return self._shown(request).sha256

    def _job(self, request: Request) -> ImageJob:
        job = self._jobs.get(request.key)
        if job is None:
            needs = {need: self._need(need, request) for need in sorted(_needs(request))}
            job = ImageJob(
                request.key.image,
                tuple((need, identity) for need, (identity, _) in needs.items()),
                request.task.documents,
                request.document if request.other is None else request.other,
                {need: give for need, (_, give) in needs.items()},
            )
            self._jobs[request.key] = job
        return job

    def _need(
        self, need: str, request: Request
    ) -> tuple[tuple[str, ...], Callable[[Image], object]]:
        """Return what a need's value depends on besides image and provider, and its function."""
        opening = request.opening.key
        if need == "clean_answer":
            clean = self.responses[request.clean].answer
            phrase = perturbations.phrase(request.variant, opening.labels, clean)
            return (phrase,), lambda image: phrase
        provider: Any = request.task.providers[need]
        clean_response = [self.responses[request.clean]] if need == "objective" else []

        def give(image: Image) -> object:
            try:
                return provider(request, image, self._engine.source, *clean_response)
            except Exception as error:
                raise RequestError(
                    f"{provider.name}, which provides {need}, failed with {one_line(error)}; "
                    "nothing was scored: mend it or its model and run again"
                ) from error

        answers = [str(response.answer) for response in clean_response]
        return (opening.prompt, *opening.labels, *answers), give

    def _has_spectrum(self, request: Request) -> bool:
        if is_blank(request.variant) or request.other is not None:
            return False
        return request.representations

    def _respond(
        self, request: Request, generation: Generation, reading: probe.Reading | None
    ) -> Response:
        """Make and store the response to a request, from the engine's or the cache's answer."""
        check_answer(request, generation, reading, self._engine)
        text = self._engine.answer_text(request, generation.text)
        refused = generation.served.refused
        found = None if refused else find_answer(text, request.key.labels)
        index = (
            None if reading is None else self._position(request, generation, text, found, reading)
        )
        if reading is not None and reading.inside is not None:
            spectrum = (
                self._images.spectrum(self._job(request)).result()
                if self._has_spectrum(request)
                else {}
            )
            self._representations.take(request, reading.inside, index, spectrum)
            reading = replace(reading, inside=None)
        answer = None if found is None else found.label
        position = None if reading is None or index is None else reading.label_steps[index]
        digest = self._shown(request).sha256
        response = Response(generation, text, answer, digest, reading, position)
        self.responses[request.key] = response
        return response

    def _position(
        self,
        request: Request,
        generation: Generation,
        text: str,
        found: NamedLabel | None,
        reading: probe.Reading,
    ) -> int | None:
        """Return the answer position; unknown in the text that is left of a model's thinking."""
        labels, raw = request.key.labels, generation.text
        if labels and text not in (raw.strip(), raw):
            if not self._warned_of_thinking:
                self._warned_of_thinking = True
                logger.warning(
                    "the model thinks before it answers: answers, flips and entropy are measured; "
                    "probabilities of the labels, confidence and calibration are absent, since "
                    "a label may also be part of its thinking"
                )
            return None
        label, offset = (None, 0) if found is None else (labels.index(found.label), found.start)
        return probe.answer_position(reading, text, label, offset, self._engine.source.decode)


def _needs(request: Request) -> frozenset[str]:
    blank = is_blank(request.variant)
    return frozenset() if blank else perturbations.needs_of(request.variant)
