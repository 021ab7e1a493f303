"""One evaluation: answers and measures all requests, each key once."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from loguru import logger
from msgspec.structs import replace

from vlm_confidence_tasks import perturbations, probe
from vlm_confidence_tasks.benchmarks import parse_certainty, refuses
from vlm_confidence_tasks.benchmarks.dataset import strict_decoding
from vlm_confidence_tasks.errors import Place
from vlm_confidence_tasks.evaluation.blank_image import SOURCE, with_blanks
from vlm_confidence_tasks.evaluation.engine import Engine
from vlm_confidence_tasks.evaluation.failures import Failures
from vlm_confidence_tasks.evaluation.follow_up import FollowUps
from vlm_confidence_tasks.evaluation.memory import image_memory
from vlm_confidence_tasks.evaluation.progress import Progress
from vlm_confidence_tasks.evaluation.representations import Representations
from vlm_confidence_tasks.evaluation.request import (
    Generation,
    Request,
    RequestKey,
    Response,
    TaskSpec,
)
from vlm_confidence_tasks.evaluation.response_cache import ResponseCache
from vlm_confidence_tasks.evaluation.runner import Runner
from vlm_confidence_tasks.evaluation.schedule import calls, work
from vlm_confidence_tasks.evaluation.signals import Interrupts
from vlm_confidence_tasks.masks import MaskStore
from vlm_confidence_tasks.types import Inside, Question, Readout, Sample

# Called with a task's name and the documents of this process, once all of them are measured.
OnComplete = Callable[[str, list[int]], None]


class Run:
    """Answers the requests of an evaluation and holds the measurements.

    Attributes:
        runner: Answers requests; adapters look documents up in it.
        mask_store: Where masks of things in images are kept.
    """

    def __init__(
        self,
        engine: Engine,
        tasks: Iterable[TaskSpec],
        cache: ResponseCache,
        on_complete: OnComplete,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Prepare; requests are made in `answer`.

        `on_complete` is called as soon as a task is complete, while others still run.
        """
        specs = list(tasks)
        self.failures = Failures({task.name: task.max_failures for task in specs})
        self.measures = engine.source.measures
        self.mask_store = MaskStore(cache.folder)
        self._engine = engine
        self._max_width = probe.max_width()
        self._memory = image_memory(ranks)
        self._cache = cache
        self._on_complete = on_complete
        self._rank, self._ranks = rank, ranks
        self._captured_tasks = {
            task.name
            for task in specs
            if task.settings.representations and "representations" in self.measures
        }
        for absent in _absent(specs, self.measures):
            logger.warning(f"{engine.name} {absent}")
        found: list[Any] = [task.providers.get("objective") for task in specs]
        self._objectives = [provider for provider in found if provider is not None]
        self._follow_ups = FollowUps()
        self._representations = Representations()
        self.runner = Runner(engine, cache, self._representations, self.failures, self._dependents)
        self._requests: dict[tuple[str, int], dict[int, Request]] = {}
        # Of each task: its documents without a sample yet, by their stored images.
        self._unfinished: dict[str, dict[bytes, set[int]]] = {}
        self._samples: dict[str, dict[int, Sample]] = {task.name: {} for task in specs}

    def close(self) -> None:
        """Stop the threads and close the cache."""
        self.runner.close()
        self._cache.close()

    def answer(self, requests: Sequence[Request]) -> list[Generation | None]:
        """Answer requests, each key once, and return the answers; None for failed ones.

        Raises:
            MeasurementError: More requests failed than allowed.
            Interrupted: A signal arrived before the last answer.
        """
        for request in requests:
            document = self._requests.setdefault((request.task.name, request.document), {})
            document[request.index] = request
            images = self._unfinished.setdefault(request.task.name, {})
            images.setdefault(request.key.image.source, set()).add(request.document)
        self._follow_ups.expect(requests)
        controls = self._representations.control_requests(requests)
        planned = work(requests, controls, self._memory)
        generations: dict[RequestKey, Generation] = {}
        if planned:
            self._answer_blocks(planned, generations)
        # Depends on tasks, not on requests, since all ranks must take part in the gathering.
        if self._captured_tasks:
            documents = self._requests.values()
            self._representations.compare_images(
                request for document in documents for request in document.values()
            )
            self._complete(list({request.key.image.source for request in requests}))
            self.runner.responses.clear()
        return [generations.get(request.key) for request in requests]

    def failure(self, task: str, document: int) -> str | None:
        """Return why a document could not be measured, None if it was."""
        return self.failures.get(task, document)

    def samples(self, task: str) -> Mapping[int, Sample]:
        """Return the documents of a task that this process measured, with their answers."""
        return self._samples[task]

    def forget(self) -> None:
        """Drop all samples, once the tasks hold those of all processes."""
        self._samples.clear()

    def _sample(self, task: str, document: int) -> Sample:
        requests = [request for _, request in sorted(self._requests[task, document].items())]
        clean, *variants = map(self._readout, requests)
        question, upstream = requests[0].question, requests[0].task.benchmark.upstream_score
        return Sample(
            image_id=question.image_id,
            gold=question.gold,
            labels=question.labels,
            positive=question.positive,
            clean=clean,
            variants=tuple(variants),
            upstream_clean=None if upstream is None else upstream(question, clean.text),
            question_id=question.question_id,
            category=question.category,
        )

    def _readout(self, request: Request) -> Readout:
        task, question = request.task, request.question
        response = self.runner.responses[request.key]
        readout = probe.make_readout(
            question,
            request.variant,
            response.image_sha256,
            response.text,
            response.answer,
            task.benchmark.is_right(question, response.answer, response.text),
            response.reading,
            response.position,
            loglik=task.settings.loglik,
            widest=self._max_width,
        )
        served = response.generation.served
        readout = replace(
            readout,
            refused=_refused(response, question),
            truncated=served.truncated or None,
            filtered=served.filtered or None,
            other_model=served.other_model,
        )
        clean_answer = self.runner.responses[request.clean].answer
        named = perturbations.named_label(request.variant, question.labels, clean_answer)
        if named is not None:
            readout = replace(readout, overlay_label=named)
        if request.representations:
            readout = replace(readout, inside=self._inside(request))
        second = self._follow_ups.key(request)
        if second is None:
            return readout
        text = self.runner.responses[second].text
        return replace(readout, verbal_text=text, verbal_confidence=parse_certainty(text))

    def _inside(self, request: Request) -> Inside:
        inside = self._representations.record(request)
        blank = self._representations.blank(request)
        position = None if blank is None else self.runner.responses[blank].position
        if position is None or not position.logprob:
            return inside
        values, _ = probe.label_probabilities(position.logprob)
        labels = request.key.labels
        return replace(inside, prior_probs=dict(zip(labels, values, strict=True)))

    def _answer_blocks(
        self, work: Sequence[Sequence[Request]], generations: dict[RequestKey, Generation]
    ) -> None:
        """Answer blocks of requests, and add what the engine returned to `generations`."""
        blanks = sum(len(with_blanks(block)) for block in work)
        total = sum(map(len, work)) + self._follow_ups.expected() + blanks
        with ExitStack() as stack:
            # First, so that a signal sent once the bar is visible is handled.
            self._interrupts = stack.enter_context(Interrupts())
            progress = stack.enter_context(Progress(total, show=self._rank == 0))
            stack.enter_context(strict_decoding())
            stack.enter_context(self._engine.quiet())
            stack.enter_context(self.runner.measuring(progress, bool(self._captured_tasks)))
            for block, following in zip(work, [*work[1:], ()], strict=True):
                self.runner.prepare(block)
                self.runner.prepare(following)
                self._answer(block, progress)
                self._answer_blanks(block, progress)
                sources = list(dict.fromkeys(request.key.image.source for request in block))
                expected = self._follow_ups.expected(sources)
                second = self._follow_ups.take(sources, self.runner.responses)
                self._answer(second, progress)
                progress.add(expected - len(second))
                self.runner.discard([*sources, SOURCE])
                for request in block:
                    if request.key in self.runner.responses:
                        generations[request.key] = self.runner.responses[request.key].generation
                self._complete(sources)
                # What is measured inside the model is compared between blocks.
                if not self._captured_tasks:
                    self.runner.responses.clear()
                self._stop_if_signalled(progress)
        attacks = (provider.summary() for provider in self._objectives)
        for summary in (self._cache.summary(self._rank, self._ranks), *attacks):
            if summary is not None:
                logger.info(summary)

    def _answer(self, requests: Sequence[Request], progress: Progress) -> None:
        """Answer requests, those of clean images first."""
        for call in calls(requests, self.runner.batch_size):
            self.runner.run(call)
            progress.add_images(len({request.key.image for request in call}))
            self._stop_if_signalled(progress)

    def _answer_blanks(self, block: Sequence[Request], progress: Progress) -> None:
        """Answer blank images of the clean images' sizes, then reduce the block's vectors."""
        expected = with_blanks(block)
        clean = [request for request in expected if request.key not in self.runner.failed]
        sizes = [[image.size for image in self.runner.images(request).images] for request in clean]
        blanks = self._representations.blank_requests(zip(clean, sizes, strict=True))
        # One that failed in an earlier block is retried, since this block's documents need it.
        self.runner.failed.difference_update(blank.key for blank in blanks)
        self._answer(blanks, progress)
        progress.add(len(expected) - len(blanks))
        self._representations.reduce(block)

    def _stop_if_signalled(self, progress: Progress) -> None:
        self._interrupts.stop_if_signalled(progress.done, progress.total, self._cache.folder)

    def _complete(self, sources: Sequence[bytes]) -> None:
        """Make the samples of documents with these images, and report tasks that are complete.

        Those of tasks with representations are made only after the control drift is computed.
        """
        for name, images in list(self._unfinished.items()):
            if name in self._captured_tasks and not self._representations.compared:
                continue
            documents = (document for source in sources for document in images.pop(source, ()))
            self._samples[name] |= {
                document: self._sample(name, document)
                for document in documents
                if self.failure(name, document) is None
            }
            if not images:
                del self._unfinished[name]
                self._on_complete(name, sorted(d for task, d in self._requests if task == name))

    def _dependents(self, failed: Request) -> Iterator[Place]:
        """Return the documents that need the answer to a request."""
        for requests in self._requests.values():
            for request in requests.values():
                second = self._follow_ups.key(request)
                blank = self._representations.blank(request)
                controls = self._representations.controls(request)
                if failed.key in (request.key, second, blank, *controls):
                    yield request.place


def _absent(tasks: Sequence[TaskSpec], measures: Collection[str]) -> Iterator[str]:
    """Yield what an engine with probabilities cannot measure of what the tasks ask for."""
    asked = {
        "representations": "gives no hidden states: what moves inside the model is absent",
        "options": "scores no texts: log-likelihoods of the options are absent",
    }
    wanted = {
        "representations": [task.name for task in tasks if task.settings.representations],
        "options": [task.name for task in tasks if task.settings.loglik],
    }
    for measure, text in asked.items():
        if measures and measure not in measures and wanted[measure]:
            yield f"{text} (task {', '.join(wanted[measure])})"


def _refused(response: Response, question: Question) -> bool:
    """Whether a response is a refusal, which names no label, or the server says that it is one."""
    said = response.answer is None and refuses(response.text, closed=bool(question.labels))
    return said or response.generation.served.refused
