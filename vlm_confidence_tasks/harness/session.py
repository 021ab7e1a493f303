"""One evaluation: what is asked, in which order, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lmms_eval.api.instance import Instance, unwrap_generation_output
from lmms_eval.api.reasoning import parse_reasoning_tags_config, strip_reasoning_tags
from loguru import logger
from tqdm import tqdm

from vlm_confidence_tasks import perturbations, probe
from vlm_confidence_tasks.benchmarks import parse_answer, parse_certainty
from vlm_confidence_tasks.harness.batches import BatchSize
from vlm_confidence_tasks.harness.blanks import SOURCE, is_blank
from vlm_confidence_tasks.harness.cache import CacheFolder
from vlm_confidence_tasks.harness.data import strict_decoding
from vlm_confidence_tasks.harness.errors import MeasurementError
from vlm_confidence_tasks.harness.failures import Failures, Place, max_failures
from vlm_confidence_tasks.harness.inside import Insides
from vlm_confidence_tasks.harness.interrupts import Interrupts, ranks
from vlm_confidence_tasks.harness.kept import Answer, open_kept
from vlm_confidence_tasks.harness.partial import Partial
from vlm_confidence_tasks.harness.pictures import Picture, Pictures, Wanted
from vlm_confidence_tasks.harness.plan import Ask, Key, blocks, calls, distinct, make_ask
from vlm_confidence_tasks.harness.quiet import adapter_bars_off
from vlm_confidence_tasks.harness.task import IMAGES, SECOND_PROMPT, PerturbedTask
from vlm_confidence_tasks.harness.turns import SecondTurns
from vlm_confidence_tasks.harness.watch import Watch, failed, one_line
from vlm_confidence_tasks.types import CLEAN, Inside, Readout


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one ask.

    Attributes:
        returned: The adapter's answer as it returned it, for the harness.
        text: Its text, without a reasoning model's thinking.
        answer: The label read from it.
        image_sha256: Digest of what was shown.
        reading: The model's numbers; None on a backend without logits.
    """

    returned: Any
    text: str
    answer: str | None
    image_sha256: str
    reading: probe.Reading | None


class View:
    """A task's documents by request index, each with its images as that request shows them.

    Stands at `lm.task_dict[task][split]`, where adapters look documents up.
    """

    def __init__(self, look_up: Callable[[int], dict[str, Any]], length: int) -> None:
        """Remember how to look up, and how many indices there are."""
        self._look_up = look_up
        self._length = length

    def __len__(self) -> int:
        """Return the number of indices; adapters clamp to it."""
        return self._length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return the document of a request."""
        return self._look_up(index)


class Session:
    """Stands between the harness and the model while perturbed tasks are evaluated.

    A context manager: on entry the tasks learn what kind of model this is, the model's
    documents become views and `lm.generate_until` goes through the session; on exit
    everything is as it was.
    """

    def __init__(
        self,
        lm: Any,
        tasks: Sequence[PerturbedTask],
        cli_args: Any = None,
        cache: CacheFolder | None = None,
    ) -> None:
        """Prepare for one evaluation.

        Args:
            lm: The harness's adapter.
            tasks: The perturbed tasks of the run.
            cli_args: The harness's command-line arguments, for its reasoning tags.
            cache: Where answers are kept for another run; None: nowhere.
        """
        self.chat = not lm.is_simple
        self._lm = lm
        self._tasks = {str(task.task_name): task for task in tasks}
        self._cli_tags = getattr(cli_args, "reasoning_tags", None)
        self._cache = cache
        self._rank, self._ranks = ranks()
        self._partial = Partial.of(cli_args, self._rank, self._ranks)
        self._unfinished: dict[str, set[bytes]] = {}
        self._outcomes: dict[Key, Outcome] = {}
        limits = {name: max_failures(task.plan.max_failures) for name, task in self._tasks.items()}
        self.failures = Failures(limits)
        self._failed: set[Key] = set()
        self._warned_of_thinking = False
        self._turns = SecondTurns()
        self._insides = Insides()
        self._keys: dict[tuple[str, int], dict[int, Ask]] = {}
        self._asks: dict[tuple[str, int], Ask] = {}
        self._restore = ExitStack()

    def __enter__(self) -> Session:
        """Put the session in place."""
        self._pictures = Pictures()
        self._restore.callback(self._pictures.close)
        self._model = probe.find_model(self._lm)
        self._kept = open_kept(self._lm, self._model, self._cache, self._rank)
        self._restore.callback(self._kept.close)
        if self._partial is not None:
            self._partial.begin(self._tasks)
        self._batch_size = BatchSize(self._lm)
        self._restore.callback(self._batch_size.restore)
        self._generate = self._lm.generate_until
        patch = probe.replaced(self._lm, "generate_until", self.generate_until)
        self._restore.enter_context(patch)
        for name, task in self._tasks.items():
            task.session = self
            self._restore.callback(setattr, task, "session", None)
            self._restore.callback(self._lm.task_dict.__setitem__, name, task.dataset)
            split = next(iter(task.dataset))
            length = 2 * task.second_turn_index(0)
            self._lm.task_dict[name] = {split: View(partial(self._look_up, name), length)}
        return self

    def __exit__(self, *error: object) -> None:
        """Take it away again."""
        self._restore.close()

    def generate_until(self, requests: Sequence[Instance]) -> list[Any]:
        """Answer requests: ours through the session, others as the adapter does."""
        others = [request for request in requests if not self.owns(request)]
        theirs = iter(self._generate(others)) if others else iter(())
        ours = [request for request in requests if self.owns(request)]
        keys = iter(self._run(ours))
        if self._represented():
            asks = [ask for document in self._keys.values() for ask in document.values()]
            self._insides.compare_images(asks)
            self._write_finished(())
        return [
            self._returned(next(keys)) if self.owns(request) else next(theirs)
            for request in requests
        ]

    def _returned(self, key: Key) -> Any:
        """Return what the harness gets: nothing is ever read from that of a failed ask."""
        return "" if key in self._failed else self._outcomes[key].returned

    def owns(self, request: Instance) -> bool:
        """Whether a request is one of a perturbed task."""
        return request.task_name in self._tasks

    def readouts(self, task: PerturbedTask, document: int) -> list[Readout]:
        """Return what was measured on a document: the clean image first, then variants."""
        asks = self._keys[str(task.task_name), document]
        return [self._readout(task, ask) for _, ask in sorted(asks.items())]

    def _readout(self, task: PerturbedTask, ask: Ask) -> Readout:
        question, outcome = ask.question, self._outcomes[ask.key]
        readout = probe.make_readout(
            question,
            ask.variant,
            outcome.image_sha256,
            outcome.text,
            outcome.answer,
            task.plan.benchmark.is_right(question, outcome.answer, outcome.text),
            outcome.reading,
            loglik=task.plan.loglik,
        )
        if task.plan.representations and outcome.reading is not None:
            readout = replace(readout, inside=self._inside(ask))
        second = self._turns.key(ask)
        if second is None:
            return readout
        said = self._outcomes[second].text
        return replace(readout, verbal_text=said, verbal_confidence=parse_certainty(said))

    def _inside(self, ask: Ask) -> Inside:
        inside = self._insides.record(ask)
        blank = self._insides.blank(ask)
        reading = None if blank is None else self._outcomes[blank].reading
        if reading is None or not reading.label_logprob:
            return inside
        values, _ = probe.label_probabilities(reading.label_logprob)
        return replace(inside, prior_probs=dict(zip(ask.key.labels, values, strict=True)))

    def _represented(self) -> bool:
        """Whether the inside of any answer of this run is measured, in whichever process."""
        wanted = any(task.plan.representations for task in self._tasks.values())
        return wanted and self._model is not None

    def _run(self, requests: Sequence[Instance]) -> list[Key]:
        """Answer all requests, each different thing once, and return their keys."""
        asks = [make_ask(self._tasks[r.task_name], r, self.chat) for r in requests]
        for ask in asks:
            name = str(ask.task.task_name)
            self._keys.setdefault((name, ask.document), {})[ask.index] = ask
            self._unfinished.setdefault(name, set()).add(ask.key.shown.source)
        self._turns.expect(asks)
        new = distinct(
            ask
            for ask in asks
            if ask.key not in self._outcomes or ask.task.plan.verbal or ask.options or ask.inside
        )
        if new:
            self._run_blocks(list(blocks(new)))
        return [ask.key for ask in asks]

    def _run_blocks(self, work: Sequence[Sequence[Ask]]) -> None:
        clean = [len(self._clean_inside(block)) for block in work]
        total = sum(map(len, work)) + self._turns.expected() + sum(clean)
        with ExitStack() as stack:
            # First: whoever sees the bar may send a signal.
            self._interrupts = stack.enter_context(Interrupts())
            bar = stack.enter_context(
                tqdm(total=total, unit="answer", desc="Perturbed", disable=self._lm.rank != 0)
            )
            stack.enter_context(strict_decoding())
            stack.enter_context(adapter_bars_off(self._lm))
            tokenizer = self._tokenizer()
            watch = self._watch = Watch(tokenizer, bar.update)
            if self._model is not None:
                scorer = probe.OptionScorer(tokenizer, watch.options)
                seen = watch.rows, watch.deliver, watch.fail
                watcher = (
                    probe.InsideWatcher(self._model, watch.inside) if self._represented() else None
                )
                stack.enter_context(probe.watched(self._model, *seen, scorer, watcher))
            for block, following in zip(work, [*work[1:], ()], strict=True):
                self._prepare(block)
                self._prepare(following)
                self._answer(block, bar)
                self._answer_blanks(block, bar)
                sources = [ask.key.shown.source for ask in block]
                expected = self._turns.expected(sources)
                second = self._turns.after(sources, self._outcomes)
                self._answer(second, bar)
                bar.update(expected - len(second))
                self._pictures.forget([*sources, SOURCE])
                self._write_finished(sources)
                self._interrupts.stop_if_asked(bar.n, total, self._kept.folder)
        if (line := self._kept.summary(self._rank, self._ranks)) is not None:
            logger.info(line)

    def _write_finished(self, sources: Iterable[bytes]) -> None:
        """Write the tasks that have no image left to ask about but these.

        Those that compare images of the whole run wait until that is done.
        """
        for images in self._unfinished.values():
            images.difference_update(sources)
        finished = [name for name, images in self._unfinished.items() if not images]
        for name in finished:
            if self._tasks[name].plan.representations and not self._insides.compared:
                continue
            del self._unfinished[name]
            if self._partial is None:
                continue
            documents = sorted(document for task, document in self._keys if task == name)
            try:
                written = self._partial.write(self._tasks[name], documents)
            except OSError as error:
                logger.warning(f"task {name} is complete, but cannot be written yet: {error}")
                continue
            if written is not None:
                logger.info(f"task {name} is complete: {written}")

    def _answer_blanks(self, block: Sequence[Ask], bar: Any) -> None:
        """Ask about blank images of the clean images' sizes, then let the block's vectors go."""
        expected = self._clean_inside(block)
        clean = [ask for ask in expected if ask.key not in self._failed]
        sizes = [[image.size for image in self._picture(ask).images] for ask in clean]
        blanks = self._insides.blanks(zip(clean, sizes, strict=True))
        # One that failed in an earlier block is tried again: this block's documents need it.
        self._failed.difference_update(blank.key for blank in blanks)
        self._answer(blanks, bar)
        bar.update(len(expected) - len(blanks))
        self._insides.reduce(block)

    def _clean_inside(self, block: Iterable[Ask]) -> list[Ask]:
        if self._model is None:
            return []
        return [ask for ask in block if ask.inside and ask.variant == CLEAN]

    def _answer(self, asks: Sequence[Ask], bar: Any) -> None:
        """Put asks to the adapter, those of clean images first."""
        for together in calls(asks, self._batch_size.now or 1):
            # Pictures that depend on the clean answers can be begun by now.
            self._prepare(together, answered=True)
            self._ask(together, bar)
            self._interrupts.stop_if_asked(bar.n, bar.total, self._kept.folder)

    def _ask(self, asks: Sequence[Ask], bar: Any) -> None:
        """Answer asks; try again what can be answered otherwise, and note what cannot."""
        lost = [ask for ask in asks if self._is_lost(ask)]
        self._failed.update(ask.key for ask in lost)
        bar.update(len(lost))
        asks = [ask for ask in asks if ask.key not in self._failed]
        before = bar.n
        try:
            self._recall_or_call(asks, bar)
            return
        except MeasurementError as error:
            left = [ask for ask in asks if ask.key not in self._outcomes]
            bar.n = before + len(asks) - len(left)
            smaller = probe.out_of_memory(error.__cause__) and self._batch_size.halve()
            if not smaller and not self.failures.any_allowed:
                raise
            if not smaller and len(left) == 1:
                bar.update(1)
                self._fail(left[0], error)
                return
        # Out of the handler, for the error holds what filled the memory.
        if smaller:
            probe.free_memory()
            logger.warning(f"out of memory: asking again with batch size {self._batch_size.now}")
            self._ask(left, bar)
            return
        for ask in left:
            self._ask([ask], bar)

    def _is_lost(self, ask: Ask) -> bool:
        """Whether what comes before an ask failed, so that nobody can use its answer."""
        return ask.clean in self._failed or ask.opening.key in self._failed

    def _fail(self, ask: Ask, error: MeasurementError) -> None:
        """Note that an ask failed, and with it every document that needs it."""
        self._failed.add(ask.key)
        logger.warning(f"left out: {error}")
        self.failures.add(error, list(self._needing(ask)))

    def _needing(self, ask: Ask) -> Iterator[Place]:
        for place, asks in self._keys.items():
            for other in asks.values():
                if ask.key in (other.key, self._turns.key(other), self._insides.blank(other)):
                    yield place

    def _recall_or_call(self, asks: Sequence[Ask], bar: Any) -> None:
        left = self._recall(asks)
        bar.update(len(asks) - len(left))
        if left:
            self._call(left)
        if self._model is None:
            bar.update(len(left))

    def _recall(self, asks: Sequence[Ask]) -> list[Ask]:
        """Take the answers that earlier runs have kept, and return what is left to ask."""
        left = []
        for ask in asks:
            answer = self._kept.find(ask, partial(self._digest, ask))
            if answer is None:
                left.append(ask)
            else:
                self._outcomes[ask.key] = self._outcome(ask, *answer)
        return left

    def _tokenizer(self) -> Any:
        if self._model is not None:
            return probe.find_tokenizer(self._lm)
        logger.warning(
            f"{type(self._lm).__name__} gives no logits: accuracy and flips are measured; "
            "entropy, calibration and all else that needs probabilities is absent"
        )
        return None

    def _prepare(self, asks: Iterable[Ask], answered: bool = False) -> None:
        """Begin to make pictures; those that depend on a clean answer once it is there."""
        for ask in asks:
            if answered or not _needs_answer(ask):
                wanted = self._wanted(ask)
                self._pictures.prepare(wanted)
                if self._spectral(ask):
                    self._pictures.spectrum(wanted)

    def _spectral(self, ask: Ask) -> bool:
        return ask.inside and self._model is not None and not is_blank(ask.variant)

    def _wanted(self, ask: Ask) -> Wanted:
        phrase = None
        if _needs_answer(ask):
            clean = self._outcomes[ask.clean].answer
            phrase = perturbations.phrase(ask.variant, ask.opening.key.labels, clean)
        return Wanted(ask.task.documents, ask.document, ask.key.shown, phrase)

    def _look_up(self, name: str, index: int) -> dict[str, Any]:
        """Return what an adapter asks its view for, and remember that it did."""
        ask = self._asks[name, index]
        self._watch.looked_up(ask)
        try:
            picture = self._picture(ask)
        except MeasurementError as located:
            self._watch.fail(located)
            raise
        document: dict[str, Any] = ask.task.documents.text[ask.document]
        second = {} if ask.first is None else {SECOND_PROMPT: ask.key.prompt}
        return document | {IMAGES: list(picture.images)} | second

    def _picture(self, ask: Ask) -> Picture:
        """Return what an ask shows.

        Raises:
            MeasurementError: It cannot be made.
        """
        try:
            return self._pictures.prepare(self._wanted(ask)).result()
        except Exception as error:
            # Decoders raise more than OSError: SyntaxError for a chunk of a PNG, say.
            what = f"cannot make its image: {one_line(error)}; repair the image or leave it out"
            failed(ask, what, error)

    def _digest(self, ask: Ask) -> str:
        return self._picture(ask).sha256

    def _call(self, asks: Sequence[Ask]) -> None:
        """Put asks to the adapter and keep what comes of them."""
        self._asks = {(str(ask.task.task_name), ask.index): ask for ask in asks}
        self._watch.forget()
        raised: Exception | None = None
        returned: Sequence[Any] = ()
        try:
            returned = self._generate([ask.request for ask in asks])
        except Exception as error:
            raised = error
        self._watch.finish(asks, raised)
        fresh: list[tuple[Ask, str, Answer]] = []
        try:
            for ask, answer in zip(asks, returned, strict=True):
                reading = self._watch.reading(ask)
                if reading is not None and not ask.inside:
                    reading = replace(reading, inside=None)
                outcome = self._outcomes[ask.key] = self._outcome(ask, answer, reading)
                fresh.append((ask, outcome.image_sha256, (answer, reading)))
        finally:
            self._kept.add(fresh)

    def _outcome(self, ask: Ask, returned: Any, reading: probe.Reading | None) -> Outcome:
        raw = str(unwrap_generation_output(returned)[0])
        text = self._without_thinking(ask.task, raw)
        self._check(ask, text, reading)
        if reading is not None and ask.key.labels and text != raw.strip() and text != raw:
            reading = self._without_labels(reading)
        wanted = self._wanted(ask)
        if reading is not None and reading.inside is not None:
            measured = self._pictures.spectrum(wanted).result() if self._spectral(ask) else {}
            self._insides.take(ask, reading.inside, measured)
            reading = replace(reading, inside=None)
        sha256 = self._picture(ask).sha256
        return Outcome(returned, text, parse_answer(text, ask.key.labels), sha256, reading)

    def _check(self, ask: Ask, text: str, reading: probe.Reading | None) -> None:
        """Refuse to score what was not really answered or not really measured."""
        adapter = type(self._lm).__name__
        if reading is None and self._model is not None:
            failed(
                ask,
                f"{adapter} answered without calling generate() of its model, so that no "
                "confidence could be read: use an adapter that runs transformers' generate()",
            )
        if reading is not None and not reading.finite:
            failed(
                ask,
                "the model's logits are not finite (NaN or infinity); nothing was scored: try "
                "another dtype (float32, bfloat16) or check the checkpoint",
            )
        if not text.strip() and (reading is None or self._lost_text(ask, reading)):
            failed(ask, f"{adapter} returned an empty answer; nothing was scored: see its log")

    def _lost_text(self, ask: Ask, reading: probe.Reading) -> bool:
        """Whether the model said something that the adapter did not return."""
        said = probe.find_tokenizer(self._lm).decode(reading.tokens, skip_special_tokens=True)
        for stop in (ask.task.config.generation_kwargs or {}).get("until") or ():
            said = said.split(stop)[0]
        return bool(said.strip())

    def _without_labels(self, reading: probe.Reading) -> probe.Reading:
        """Drop the labels' probabilities: the first label may be one that was thought of."""
        if not self._warned_of_thinking:
            self._warned_of_thinking = True
            logger.warning(
                "the model thinks before it answers: answers, flips and entropy are measured; "
                "probabilities of the labels, confidence and calibration are absent, since "
                "they are read at the first label, which may be part of its thinking"
            )
        return replace(reading, label_logprob=(), answer_step=None)

    def _without_thinking(self, task: PerturbedTask, text: str) -> str:
        """Strip reasoning tags as the harness will, so that both read the same answer."""
        tags = parse_reasoning_tags_config(self._cli_tags, task.config.reasoning_tags)
        return text if tags is None else str(strip_reasoning_tags(text, tags))


def _needs_answer(ask: Ask) -> bool:
    return not is_blank(ask.variant) and perturbations.needs_answer(ask.variant)
