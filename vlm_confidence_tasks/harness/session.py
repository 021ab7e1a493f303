"""One evaluation: what is asked, in which order, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from vlm_confidence_tasks.harness.blanks import SOURCE, is_blank
from vlm_confidence_tasks.harness.data import strict_decoding
from vlm_confidence_tasks.harness.inside import Insides
from vlm_confidence_tasks.harness.pictures import Pictures, Wanted
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

    def __init__(self, lm: Any, tasks: Sequence[PerturbedTask], cli_args: Any = None) -> None:
        """Prepare for one evaluation.

        Args:
            lm: The harness's adapter.
            tasks: The perturbed tasks of the run.
            cli_args: The harness's command-line arguments, for its reasoning tags.
        """
        self.chat = not lm.is_simple
        self._lm = lm
        self._tasks = {str(task.task_name): task for task in tasks}
        self._cli_tags = getattr(cli_args, "reasoning_tags", None)
        self._outcomes: dict[Key, Outcome] = {}
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
        return [
            self._outcomes[next(keys)].returned if self.owns(request) else next(theirs)
            for request in requests
        ]

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
        reading = self._outcomes[self._insides.blank(ask)].reading if ask.variant == CLEAN else None
        if reading is None or not ask.key.labels:
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
            self._keys.setdefault((str(ask.task.task_name), ask.document), {})[ask.index] = ask
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

    def _answer_blanks(self, block: Sequence[Ask], bar: Any) -> None:
        """Ask about blank images of the clean images' sizes, then let the block's vectors go."""
        clean = self._clean_inside(block)
        pictures = [self._pictures.prepare(self._wanted(ask)).result() for ask in clean]
        sizes = [[image.size for image in picture.images] for picture in pictures]
        blanks = self._insides.blanks(zip(clean, sizes, strict=True))
        self._answer(blanks, bar)
        bar.update(len(clean) - len(blanks))
        self._insides.reduce(block)

    def _clean_inside(self, block: Iterable[Ask]) -> list[Ask]:
        if self._model is None:
            return []
        return [ask for ask in block if ask.inside and ask.variant == CLEAN]

    def _answer(self, asks: Sequence[Ask], bar: Any) -> None:
        """Put asks to the adapter, those of clean images first."""
        for together in calls(asks):
            # Pictures that depend on the clean answers can be begun by now.
            self._prepare(together, answered=True)
            self._call(together)
            if self._model is None:
                bar.update(len(together))

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
            picture = self._pictures.prepare(self._wanted(ask)).result()
        except (OSError, ValueError) as error:
            what = f"cannot make its image: {one_line(error)}; repair the image or leave it out"
            try:
                failed(ask, what, error)
            except RuntimeError as located:
                self._watch.fail(located)
                raise
        document: dict[str, Any] = ask.task.documents.text[ask.document]
        second = {} if ask.first is None else {SECOND_PROMPT: ask.key.prompt}
        return document | {IMAGES: list(picture.images)} | second

    def _call(self, asks: Sequence[Ask]) -> None:
        """Put asks to the adapter and keep what comes of them."""
        self._asks = {(str(ask.task.task_name), ask.index): ask for ask in asks}
        raised: Exception | None = None
        returned: Sequence[Any] = ()
        try:
            returned = self._generate([ask.request for ask in asks])
        except Exception as error:
            raised = error
        self._watch.finish(asks, raised)
        for ask, answer in zip(asks, returned, strict=True):
            self._outcomes[ask.key] = self._outcome(ask, answer)

    def _outcome(self, ask: Ask, returned: Any) -> Outcome:
        text = self._without_thinking(ask.task, unwrap_generation_output(returned)[0])
        reading = self._watch.reading(ask)
        self._check(ask, text, reading)
        wanted = self._wanted(ask)
        sha256 = self._pictures.prepare(wanted).result().sha256
        if reading is not None and reading.inside is not None:
            if ask.inside:
                measured = self._pictures.spectrum(wanted).result() if self._spectral(ask) else {}
                self._insides.take(ask, reading.inside, measured)
            reading = replace(reading, inside=None)
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

    def _without_thinking(self, task: PerturbedTask, text: str) -> str:
        """Strip reasoning tags as the harness will, so that both read the same answer."""
        tags = parse_reasoning_tags_config(self._cli_tags, task.config.reasoning_tags)
        return text if tags is None else str(strip_reasoning_tags(text, tags))


def _needs_answer(ask: Ask) -> bool:
    return not is_blank(ask.variant) and perturbations.needs_answer(ask.variant)
