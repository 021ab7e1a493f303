"""Puts requests to the engine, or finds their responses in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from loguru import logger
from PIL.Image import Image

from vlm_confidence_tasks import perturbations, probe
from vlm_confidence_tasks.benchmarks import parse_answer
from vlm_confidence_tasks.errors import MeasurementError, Place, RequestError, one_line
from vlm_confidence_tasks.evaluation.batch_tracker import BatchTracker
from vlm_confidence_tasks.evaluation.blank_image import is_blank
from vlm_confidence_tasks.evaluation.engine import Engine
from vlm_confidence_tasks.evaluation.failures import Failures, located
from vlm_confidence_tasks.evaluation.images import ImageJob, Images, ShownImages
from vlm_confidence_tasks.evaluation.progress import Progress
from vlm_confidence_tasks.evaluation.representations import Representations
from vlm_confidence_tasks.evaluation.request import Generation, Request, RequestKey, Response
from vlm_confidence_tasks.evaluation.response_cache import ResponseCache
from vlm_confidence_tasks.perturbations import Given


class Runner:
    """Answers requests, repeats those that can succeed otherwise, and holds the responses.

    Attributes:
        responses: Of all requests that were answered.
        failed: Keys of those that were not, where a run may go on without them.
    """

    def __init__(
        self,
        engine: Engine,
        cache: ResponseCache,
        representations: Representations,
        failures: Failures,
        dependents: Callable[[Request], Iterable[Place]],
    ) -> None:
        """Start the image threads.

        Args:
            engine: Answers requests.
            cache: Responses of earlier runs; this run's are added.
            representations: Takes the hidden states that were captured.
            failures: Told which documents failed.
            dependents: Gives the documents that need the answer to a request.
        """
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
        """Stop the threads, and give the adapter its batch size back."""
        self._images.close()
        self._engine.batch_size.restore()

    @property
    def batch_size(self) -> int:
        """How many requests the engine runs at once, as far as it says."""
        return self._engine.batch_size.now or 1

    @contextmanager
    def reading(self, progress: Progress, representations: bool) -> Iterator[None]:
        """Read the numbers behind the answers in the block; `run` works only inside of it.

        Args:
            progress: Counts the answers.
            representations: Whether hidden states are captured for any request.
        """
        self._progress = progress
        self._tracker = BatchTracker(progress.add)
        with self._engine.source.reading(self._tracker, representations):
            yield

    def run(self, requests: Sequence[Request]) -> None:
        """Answer requests; repeat those that can be answered otherwise, register the others.

        Args:
            requests: One call of the engine: all clean, or all with their clean ones answered.

        Raises:
            MeasurementError: More failed than is allowed.
        """
        lost = [request for request in requests if self._is_lost(request)]
        self.failed.update(request.key for request in lost)
        self._progress.add(len(lost))
        requests = [request for request in requests if request.key not in self.failed]
        # Images that depend on the clean answers can be begun by now.
        self.prepare(requests, answered=True)
        before = self._progress.done
        try:
            self._recall_or_call(requests)
            self._progress.move_to(before + len(requests))
            return
        except MeasurementError as error:
            left = [request for request in requests if request.key not in self.responses]
            self._progress.move_to(before + len(requests) - len(left))
            smaller = probe.out_of_memory(error.__cause__) and self._engine.batch_size.halve()
            if not smaller and not self._failures.any_allowed:
                raise
            if not smaller and len(left) == 1:
                self._progress.add(1)
                self._fail(left[0], error)
                return
        # Outside of the handler, since the error holds what filled the memory.
        if smaller:
            self._images.forget_failed()
            probe.free_memory()
            logger.warning(
                f"out of memory: asking again with batch size {self._engine.batch_size.now}"
            )
            self.run(left)
            return
        for request in left:
            self.run([request])

    def _is_lost(self, request: Request) -> bool:
        """Whether a request that this one depends on failed."""
        return request.clean in self.failed or request.opening.key in self.failed

    def _fail(self, request: Request, error: MeasurementError) -> None:
        """Register that a request failed, and with it every document that needs it."""
        self.failed.add(request.key)
        logger.warning(f"left out: {error}")
        self._failures.add(error, list(self._dependents(request)))

    def _recall_or_call(self, requests: Sequence[Request]) -> None:
        left = []
        for request in requests:
            with located(request.place):
                found = self._cache.find(request, partial(self._digest, request))
                if found is None:
                    left.append(request)
                else:
                    self._respond(request, *found)
        self._progress.add(len(requests) - len(left))
        if left:
            self._call(left)

    def _call(self, requests: Sequence[Request]) -> None:
        """Put requests to the engine and cache their responses.

        Raises:
            MeasurementError: One of them could not be answered; all others have responses.
        """
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
        """Return the numbers behind a fresh answer: watched, or returned with its text."""
        reading = self._tracker.reading(request)
        if reading is None and generation.failure is None:
            try:
                reading = self._engine.source.read(generation.text, request.key.labels)
            except Exception as error:
                raise RequestError(
                    f"the numbers that {self._engine.name} returned cannot be read: "
                    f"{one_line(error)}; nothing was scored: see its logit_source"
                ) from error
        if reading is not None and not request.representations:
            reading = replace(reading, inside=None)
        return reading

    def look_up(self, task: str, index: int) -> tuple[Request, ShownImages]:
        """Return the request that an adapter looks up, with its images, and register that.

        Args:
            task: Name of the task.
            index: The request's index.

        Raises:
            MeasurementError: The images cannot be made.
        """
        request = self._in_call[task, index]
        self._tracker.looked_up(request)
        try:
            return request, self.images(request)
        except MeasurementError as error:
            self._tracker.fail(error)
            raise

    def announce(self, rows: Sequence[tuple[str, int]]) -> None:
        """Take the rows of the next generate() from an adapter that announces them.

        Args:
            rows: Name of the task and request index of each row.
        """
        self._tracker.announce([self._in_call[row] for row in rows])

    def prepare(self, requests: Iterable[Request], answered: bool = False) -> None:
        """Begin to make images; those that depend on a clean answer once it is there.

        Args:
            requests: Whose images.
            answered: Whether the clean answers are there.
        """
        for request in requests:
            if answered or "clean_answer" not in _needs(request):
                job = self._job(request)
                self._images.prepare(job)
                if self._has_spectrum(request):
                    self._images.spectrum(job)

    def images(self, request: Request) -> ShownImages:
        """Return what a request shows.

        Raises:
            MeasurementError: It cannot be made.
        """
        with located(request.place):
            return self._shown(request)

    def discard(self, sources: Sequence[bytes]) -> None:
        """Drop all images that were made from the given stored images."""
        self._images.discard(sources)
        gone = set(sources)
        for key in [key for key in self._jobs if key.image.source in gone]:
            del self._jobs[key]

    def _shown(self, request: Request) -> ShownImages:
        try:
            return self._images.prepare(self._job(request)).result()
        except RequestError:
            raise
        except Exception as error:
            # Decoders raise more than OSError: SyntaxError for a chunk of a PNG, say.
            raise RequestError(
                f"cannot make its image: {one_line(error)}; repair the image or leave it out"
            ) from error

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
                request.document,
                {need: give for need, (_, give) in needs.items()},
            )
            self._jobs[request.key] = job
        return job

    def _need(self, need: str, request: Request) -> tuple[str, Callable[[Image], Given]]:
        """Return what decides what satisfies a need, and how it is made."""
        opening = request.opening.key
        if need == "clean_answer":
            clean = self.responses[request.clean].answer
            phrase = perturbations.phrase(request.variant, opening.labels, clean)
            return phrase, lambda image: Given(phrase, phrase)
        provider = request.task.providers[need]

        def give(image: Image) -> Given:
            try:
                return provider(request, image, self._engine.source)
            except Exception as error:
                raise RequestError(
                    f"{provider.name}, which provides {need}, failed with {one_line(error)}; "
                    "nothing was scored: mend it or its model and run again"
                ) from error

        return opening.prompt, give

    def _has_spectrum(self, request: Request) -> bool:
        return request.representations and not is_blank(request.variant)

    def _respond(
        self, request: Request, generation: Generation, reading: probe.Reading | None
    ) -> Response:
        """Make the response to a request from what the engine or the cache gave, and hold it.

        Raises:
            RequestError: It is no answer, or its numbers cannot be used.
        """
        self._check(request, generation, reading)
        raw = generation.text
        text = self._engine.answer_text(request, raw)
        if reading is not None and request.key.labels and text not in (raw.strip(), raw):
            reading = self._without_labels(reading)
        if reading is not None and reading.inside is not None:
            spectrum = (
                self._images.spectrum(self._job(request)).result()
                if self._has_spectrum(request)
                else {}
            )
            self._representations.take(request, reading.inside, spectrum)
            reading = replace(reading, inside=None)
        answer = parse_answer(text, request.key.labels)
        response = Response(generation, text, answer, self._shown(request).sha256, reading)
        self.responses[request.key] = response
        return response

    def _without_labels(self, reading: probe.Reading) -> probe.Reading:
        """Drop the labels' probabilities: the first label may be part of the thinking."""
        if not self._warned_of_thinking:
            self._warned_of_thinking = True
            logger.warning(
                "the model thinks before it answers: answers, flips and entropy are measured; "
                "probabilities of the labels, confidence and calibration are absent, since "
                "they are read at the first label, which may be part of its thinking"
            )
        return replace(reading, label_logprob=(), answer_step=None)

    def _check(
        self, request: Request, generation: Generation, reading: probe.Reading | None
    ) -> None:
        """Refuse to score what is no answer or was not measured.

        Raises:
            RequestError: It is refused.
        """
        name, source = self._engine.name, self._engine.source
        if generation.failure is not None:
            raise RequestError(f"{name} has no answer: {generation.failure}; nothing was scored")
        if reading is None and source.measures:
            raise RequestError(
                f"{name} answered without calling generate() of its model, so that no "
                "confidence could be read: use an adapter that runs transformers' generate()"
            )
        if reading is not None and not reading.finite:
            raise RequestError(
                "the model's logits are not finite (NaN or infinity); nothing was scored: try "
                "another dtype (float32, bfloat16) or check the checkpoint"
            )
        if not generation.text.strip() and self._lost_text(request, reading):
            raise RequestError(f"{name} returned an empty answer; nothing was scored: see its log")

    def _lost_text(self, request: Request, reading: probe.Reading | None) -> bool:
        """Whether the model said, or may have said, something that the engine did not return."""
        said = None if reading is None else self._engine.source.decode(reading)
        if said is None:
            return True
        for stop in request.task.until:
            said = said.split(stop)[0]
        return bool(said.strip())


def _needs(request: Request) -> frozenset[str]:
    blank = is_blank(request.variant)
    return frozenset() if blank else perturbations.needs_of(request.variant)
