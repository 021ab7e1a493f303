"""One evaluation: what is asked, in which order, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from lmms_eval.api.instance import Instance
from loguru import logger
from tqdm import tqdm

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.benchmarks import parse_certainty
from vlm_confidence_tasks.harness.answers import Answers
from vlm_confidence_tasks.harness.blanks import SOURCE
from vlm_confidence_tasks.harness.cache import CacheFolder
from vlm_confidence_tasks.harness.data import strict_decoding
from vlm_confidence_tasks.harness.failures import Failures, max_failures
from vlm_confidence_tasks.harness.inside import Insides
from vlm_confidence_tasks.harness.interrupts import Interrupts, ranks
from vlm_confidence_tasks.harness.kept import open_kept
from vlm_confidence_tasks.harness.partial import Partial
from vlm_confidence_tasks.harness.plan import Ask, Key, blocks, calls, distinct, make_ask
from vlm_confidence_tasks.harness.quiet import adapter_bars_off
from vlm_confidence_tasks.harness.task import PerturbedTask
from vlm_confidence_tasks.harness.thinking import Thinking
from vlm_confidence_tasks.harness.turns import SecondTurns
from vlm_confidence_tasks.types import CLEAN, Inside, Readout


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
        # Several of one name, where a group and one of its tasks are asked for, are equal.
        self._all_tasks = tasks
        self._tasks = {str(task.task_name): task for task in tasks}
        self._thinking = Thinking(cli_args)
        self._cache = cache
        self._rank, self._ranks = ranks()
        self._partial = Partial.of(cli_args, self._rank, self._ranks)
        self._unfinished: dict[str, set[bytes]] = {}
        limits = {name: max_failures(task.plan.max_failures) for name, task in self._tasks.items()}
        self.failures = Failures(limits)
        self._turns = SecondTurns()
        self._insides = Insides()
        self._keys: dict[tuple[str, int], dict[int, Ask]] = {}
        self._restore = ExitStack()

    def __enter__(self) -> Session:
        """Put the session in place."""
        self._model = probe.find_model(self._lm)
        self._kept = open_kept(self._lm, self._model, self._cache, self._rank)
        self._restore.callback(self._kept.close)
        if self._partial is not None:
            self._partial.begin(self._tasks)
        self._answers = Answers(
            self._lm,
            self._model,
            self._kept,
            self._insides,
            self._thinking,
            self.failures,
            self._needing,
        )
        self._restore.callback(self._answers.close)
        self._generate = self._lm.generate_until
        patch = probe.replaced(self._lm, "generate_until", self.generate_until)
        self._restore.enter_context(patch)
        for task in self._all_tasks:
            task.session = self
            self._restore.callback(setattr, task, "session", None)
        for name, task in self._tasks.items():
            self._restore.callback(self._lm.task_dict.__setitem__, name, task.dataset)
            split = next(iter(task.dataset))
            length = 2 * task.second_turn_index(0)
            self._lm.task_dict[name] = {split: View(partial(self._answers.look_up, name), length)}
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
        failed = key in self._answers.failed
        return "" if failed else self._answers.outcomes[key].returned

    def owns(self, request: Instance) -> bool:
        """Whether a request is one of a perturbed task."""
        return request.task_name in self._tasks

    def readouts(self, task: PerturbedTask, document: int) -> list[Readout]:
        """Return what was measured on a document: the clean image first, then variants."""
        asks = self._keys[str(task.task_name), document]
        return [self._readout(task, ask) for _, ask in sorted(asks.items())]

    def _readout(self, task: PerturbedTask, ask: Ask) -> Readout:
        question, outcome = ask.question, self._answers.outcomes[ask.key]
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
        said = self._answers.outcomes[second].text
        return replace(readout, verbal_text=said, verbal_confidence=parse_certainty(said))

    def _inside(self, ask: Ask) -> Inside:
        inside = self._insides.record(ask)
        blank = self._insides.blank(ask)
        reading = None if blank is None else self._answers.outcomes[blank].reading
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
            if ask.key not in self._answers.outcomes
            or ask.task.plan.verbal
            or ask.options
            or ask.inside
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
            stack.enter_context(self._answers.watching(bar, self._represented()))
            for block, following in zip(work, [*work[1:], ()], strict=True):
                self._answers.prepare(block)
                self._answers.prepare(following)
                self._answer(block, bar)
                self._answer_blanks(block, bar)
                sources = [ask.key.shown.source for ask in block]
                expected = self._turns.expected(sources)
                second = self._turns.after(sources, self._answers.outcomes)
                self._answer(second, bar)
                bar.update(expected - len(second))
                self._answers.forget_pictures([*sources, SOURCE])
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
        clean = [ask for ask in expected if ask.key not in self._answers.failed]
        sizes = [[image.size for image in self._answers.picture(ask).images] for ask in clean]
        blanks = self._insides.blanks(zip(clean, sizes, strict=True))
        # One that failed in an earlier block is tried again: this block's documents need it.
        self._answers.failed.difference_update(blank.key for blank in blanks)
        self._answer(blanks, bar)
        bar.update(len(expected) - len(blanks))
        self._insides.reduce(block)

    def _clean_inside(self, block: Iterable[Ask]) -> list[Ask]:
        if self._model is None:
            return []
        return [ask for ask in block if ask.inside and ask.variant == CLEAN]

    def _answer(self, asks: Sequence[Ask], bar: Any) -> None:
        """Put asks to the adapter, those of clean images first."""
        for together in calls(asks, self._answers.batch_size):
            self._answers.ask(together)
            self._interrupts.stop_if_asked(bar.n, bar.total, self._kept.folder)

    def _needing(self, ask: Ask) -> Iterator[Ask]:
        for asks in self._keys.values():
            for other in asks.values():
                if ask.key in (other.key, self._turns.key(other), self._insides.blank(other)):
                    yield other
