"""The answers of a run: asked of the adapter, or found where an earlier run kept them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lmms_eval.api.instance import unwrap_generation_output
from loguru import logger

from vlm_confidence_tasks import perturbations, probe
from vlm_confidence_tasks.benchmarks import parse_answer
from vlm_confidence_tasks.harness.batches import BatchSize
from vlm_confidence_tasks.harness.blanks import is_blank
from vlm_confidence_tasks.harness.errors import MeasurementError
from vlm_confidence_tasks.harness.failures import Failures
from vlm_confidence_tasks.harness.inside import Insides
from vlm_confidence_tasks.harness.kept import Answer, Kept
from vlm_confidence_tasks.harness.pictures import Picture, Pictures, Wanted
from vlm_confidence_tasks.harness.plan import Ask, Key
from vlm_confidence_tasks.harness.task import IMAGES, SECOND_PROMPT
from vlm_confidence_tasks.harness.thinking import Thinking
from vlm_confidence_tasks.harness.watch import Watch, failed, one_line


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


class Answers:
    """Puts asks to an adapter, again where that can help, and holds what came of them.

    Attributes:
        outcomes: Of all asks that were answered.
        failed: Those that were not, where a run may go on without them.
    """

    def __init__(
        self,
        lm: Any,
        model: Any,
        kept: Kept,
        insides: Insides,
        thinking: Thinking,
        failures: Failures,
        needing: Callable[[Ask], Iterable[Ask]],
    ) -> None:
        """Remember whom to ask; that must be before the session stands in front of it.

        Args:
            lm: The harness's adapter.
            model: The transformers model in it, or None.
            kept: What earlier runs answered, and where this one's answers go.
            insides: Takes what was captured in the model.
            thinking: Strips a reasoning model's thinking.
            failures: Told what could not be measured.
            needing: Gives the asks, one a task and document at least, that need an answer.
        """
        self.outcomes: dict[Key, Outcome] = {}
        self.failed: set[Key] = set()
        self._lm = lm
        self._model = model
        self._generate = lm.generate_until
        self._kept = kept
        self._insides = insides
        self._thinking = thinking
        self._failures = failures
        self._needing = needing
        self._pictures = Pictures()
        self._batch_size = BatchSize(lm)
        self._asked: dict[tuple[str, int], Ask] = {}

    def close(self) -> None:
        """Stop the threads, and give the adapter its batch size back."""
        self._pictures.close()
        self._batch_size.restore()

    @property
    def batch_size(self) -> int:
        """How many the adapter answers at once, as far as it says."""
        return self._batch_size.now or 1

    @contextmanager
    def watching(self, bar: Any, inside: bool) -> Iterator[None]:
        """Read the model's numbers in the block; nothing is asked outside of it.

        Args:
            bar: Told how many answers were given.
            inside: Whether the inside of any answer is captured.
        """
        self._bar = bar
        tokenizer = self._tokenizer()
        watch = self._watch = Watch(tokenizer, bar.update)
        if self._model is None:
            yield
            return
        scorer = probe.OptionScorer(tokenizer, watch.options)
        watcher = probe.InsideWatcher(self._model, watch.inside) if inside else None
        with probe.watched(self._model, watch.rows, watch.deliver, watch.fail, scorer, watcher):
            yield

    def _tokenizer(self) -> Any:
        if self._model is not None:
            return probe.find_tokenizer(self._lm)
        logger.warning(
            f"{type(self._lm).__name__} gives no logits: accuracy and flips are measured; "
            "entropy, calibration and all else that needs probabilities is absent"
        )
        return None

    def ask(self, asks: Sequence[Ask]) -> None:
        """Answer asks; try again what can be answered otherwise, and note what cannot.

        Args:
            asks: One call of the adapter: all clean, or all with their clean ones answered.

        Raises:
            MeasurementError: More failed than is allowed.
        """
        lost = [ask for ask in asks if self._is_lost(ask)]
        self.failed.update(ask.key for ask in lost)
        self._bar.update(len(lost))
        asks = [ask for ask in asks if ask.key not in self.failed]
        # Pictures that depend on the clean answers can be begun by now.
        self.prepare(asks, answered=True)
        before = self._bar.n
        try:
            self._recall_or_call(asks)
            return
        except MeasurementError as error:
            left = [ask for ask in asks if ask.key not in self.outcomes]
            self._bar.n = before + len(asks) - len(left)
            smaller = probe.out_of_memory(error.__cause__) and self._batch_size.halve()
            if not smaller and not self._failures.any_allowed:
                raise
            if not smaller and len(left) == 1:
                self._bar.update(1)
                self._fail(left[0], error)
                return
        # Out of the handler, for the error holds what filled the memory.
        if smaller:
            probe.free_memory()
            logger.warning(f"out of memory: asking again with batch size {self._batch_size.now}")
            self.ask(left)
            return
        for ask in left:
            self.ask([ask])

    def _is_lost(self, ask: Ask) -> bool:
        """Whether what comes before an ask failed, so that nobody can use its answer."""
        return ask.clean in self.failed or ask.opening.key in self.failed

    def _fail(self, ask: Ask, error: MeasurementError) -> None:
        """Note that an ask failed, and with it every document that needs it."""
        self.failed.add(ask.key)
        logger.warning(f"left out: {error}")
        self._failures.add(error, list(self._needing(ask)))

    def _recall_or_call(self, asks: Sequence[Ask]) -> None:
        left = self._recall(asks)
        self._bar.update(len(asks) - len(left))
        if left:
            self._call(left)
        if self._model is None:
            self._bar.update(len(left))

    def _recall(self, asks: Sequence[Ask]) -> list[Ask]:
        """Take the answers that earlier runs have kept, and return what is left to ask."""
        left = []
        for ask in asks:
            answer = self._kept.find(ask, partial(self._digest, ask))
            if answer is None:
                left.append(ask)
            else:
                self.outcomes[ask.key] = self._outcome(ask, *answer)
        return left

    def _call(self, asks: Sequence[Ask]) -> None:
        """Put asks to the adapter and keep what comes of them."""
        self._asked = {(str(ask.task.task_name), ask.index): ask for ask in asks}
        self._watch.forget()
        raised: Exception | None = None
        returned: Sequence[Any] = ()
        try:
            returned = list(self._generate([ask.request for ask in asks]))
        except Exception as error:
            raised = error
        self._watch.finish(asks, raised)
        if len(returned) != len(asks):
            adapter = type(self._lm).__name__
            what = f"{adapter} returned {len(returned)} answers to {len(asks)} requests"
            failed(asks[0], f"{what}, so that none can be told whose it is; nothing was scored")
        fresh: list[tuple[Ask, str, Answer]] = []
        try:
            for ask, answer in zip(asks, returned, strict=True):
                reading = self._watch.reading(ask)
                if reading is not None and not ask.inside:
                    reading = replace(reading, inside=None)
                outcome = self.outcomes[ask.key] = self._outcome(ask, answer, reading)
                fresh.append((ask, outcome.image_sha256, (answer, reading)))
        finally:
            self._kept.add(fresh)

    def look_up(self, name: str, index: int) -> dict[str, Any]:
        """Return what an adapter asks its view for, and remember that it did."""
        ask = self._asked[name, index]
        self._watch.looked_up(ask)
        try:
            picture = self.picture(ask)
        except MeasurementError as located:
            self._watch.fail(located)
            raise
        document: dict[str, Any] = ask.task.documents.text[ask.document]
        second = {} if ask.first is None else {SECOND_PROMPT: ask.key.prompt}
        return document | {IMAGES: list(picture.images)} | second

    def prepare(self, asks: Iterable[Ask], answered: bool = False) -> None:
        """Begin to make pictures; those that depend on a clean answer once it is there."""
        for ask in asks:
            if answered or not _needs_answer(ask):
                wanted = self._wanted(ask)
                self._pictures.prepare(wanted)
                if self._spectral(ask):
                    self._pictures.spectrum(wanted)

    def picture(self, ask: Ask) -> Picture:
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

    def forget_pictures(self, sources: Sequence[bytes]) -> None:
        """Drop all pictures of the given stored images."""
        self._pictures.forget(sources)

    def _digest(self, ask: Ask) -> str:
        return self.picture(ask).sha256

    def _wanted(self, ask: Ask) -> Wanted:
        phrase = None
        if _needs_answer(ask):
            clean = self.outcomes[ask.clean].answer
            phrase = perturbations.phrase(ask.variant, ask.opening.key.labels, clean)
        return Wanted(ask.task.documents, ask.document, ask.key.shown, phrase)

    def _spectral(self, ask: Ask) -> bool:
        return ask.inside and self._model is not None and not is_blank(ask.variant)

    def _outcome(self, ask: Ask, returned: Any, reading: probe.Reading | None) -> Outcome:
        raw = str(unwrap_generation_output(returned)[0])
        text = self._thinking.strip(ask.task.config.reasoning_tags, raw)
        self._check(ask, raw, reading)
        if reading is not None and ask.key.labels and text != raw.strip() and text != raw:
            reading = self._thinking.without_labels(reading)
        wanted = self._wanted(ask)
        if reading is not None and reading.inside is not None:
            measured = self._pictures.spectrum(wanted).result() if self._spectral(ask) else {}
            self._insides.take(ask, reading.inside, measured)
            reading = replace(reading, inside=None)
        sha256 = self.picture(ask).sha256
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


def _needs_answer(ask: Ask) -> bool:
    return not is_blank(ask.variant) and bool(perturbations.needs_of(ask.variant))
