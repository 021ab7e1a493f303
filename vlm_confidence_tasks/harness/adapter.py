"""The harness's model adapter as an engine: its instances and results to our records and back."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import tqdm
from lmms_eval.api.instance import (
    GenerationResult,
    Instance,
    TokenCounts,
    unwrap_generation_output,
)

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.evaluation.batch_size import BatchSize
from vlm_confidence_tasks.evaluation.images import ShownImages
from vlm_confidence_tasks.evaluation.request import Generation, Request, Response
from vlm_confidence_tasks.harness.reasoning import ReasoningTags
from vlm_confidence_tasks.harness.task import (
    IMAGES,
    SECOND_PROMPT,
    PerturbedInstance,
    PerturbedTask,
)

# How adapters of the harness write into an answer's text that there is none: those of
# OpenAI-compatible servers, after their retries or when the token budget is spent.
FAILURE_TEXTS = ("[LMMS_EVAL_REQUEST_FAILED", "[LMMS_EVAL_BUDGET_EXCEEDED")

Answer = Callable[[Sequence[Request]], list[Response | None]]
LookUp = Callable[[str, int], tuple[Request, ShownImages]]


class HarnessAdapter:
    """Answers requests with an adapter of the harness: an `evaluation.engine.Engine`."""

    def __init__(
        self, lm: Any, tasks: Mapping[str, PerturbedTask], reasoning: ReasoningTags
    ) -> None:
        """Remember the adapter's own `generate_until`, before a session replaces it.

        Args:
            lm: The harness's adapter.
            tasks: The perturbed tasks of the run, by name.
            reasoning: Strips a reasoning model's thinking.

        Raises:
            ProbeError: The adapter's model cannot be read.
        """
        self.name = type(lm).__name__
        self.source = probe.find_source(lm)
        self.batch_size = BatchSize(lm)
        self._lm = lm
        self._generate = lm.generate_until
        self._tasks = tasks
        self._reasoning = reasoning
        self._instances: dict[tuple[str, int], Instance] = {}

    def generate_until(self, answer: Answer, instances: Sequence[Instance]) -> list[Any]:
        """Answer the harness: perturbed tasks through `answer`, others as the adapter does."""
        others = [one for one in instances if not isinstance(one, PerturbedInstance)]
        theirs = iter(self._generate(others)) if others else iter(())
        ours = [one for one in instances if isinstance(one, PerturbedInstance)]
        requests = [one.request for one in ours]
        self._instances |= {(one.task_name, one.request.index): one for one in ours}
        responses = iter(answer(requests))
        return [
            _result(next(responses)) if isinstance(one, PerturbedInstance) else next(theirs)
            for one in instances
        ]

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answer requests; what the adapter raises is passed on."""
        returned = self._generate([self._instance(request) for request in requests])
        return [_generation(*unwrap_generation_output(one)) for one in returned]

    def _instance(self, request: Request) -> Instance:
        """Return the harness's instance of a request; second turns get one of their own."""
        name = request.task.name
        given = self._instances[name, request.opening.index]
        if request.first is None:
            return given
        task = self._tasks[name]
        generation = copy.deepcopy(task.config.generation_kwargs)
        arguments = task.arguments(request.index, request.key.prompt, generation)
        return Instance("generate_until", arguments, given.idx, given.metadata)

    def answer_text(self, request: Request, text: str) -> str:
        """Return an answer's text without a reasoning model's thinking."""
        return self._reasoning.strip(self._tasks[request.task.name].config.reasoning_tags, text)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Silence the progress bars that the adapter opens anew in each of its calls.

        Adapters import `tqdm` into their own modules; there it is replaced, in the block, by
        one that draws nothing.
        """

        def silent(*args: Any, **kwargs: Any) -> Any:
            return tqdm.tqdm(*args, **{**kwargs, "disable": True})

        modules = {sys.modules[cls.__module__] for cls in type(self._lm).__mro__}
        loud = [module for module in modules if getattr(module, "tqdm", None) is tqdm.tqdm]
        for module in loud:
            vars(module)["tqdm"] = silent
        try:
            yield
        finally:
            for module in loud:
                vars(module)["tqdm"] = tqdm.tqdm


def _result(response: Response | None) -> Any:
    """Return what the harness gets for a response: "" for a failed request."""
    if response is None:
        return ""
    text, counts = response.generation.text, response.generation.token_counts
    return text if counts is None else GenerationResult(text, TokenCounts(**counts))


def _generation(text: Any, counts: Any) -> Generation:
    counts = None if counts is None else vars(counts)
    # Servers send messages without content, as for an answer cut off while thinking; as a
    # string that would be the answer "None".
    if text is None:
        return Generation("", counts, "it returned None in place of a text")
    # An engine's text may be of a type that carries more: only others are converted.
    text = text if isinstance(text, str) else str(text)
    failed = text.lstrip().startswith(FAILURE_TEXTS)
    return Generation(text, counts, " ".join(text.split()) if failed else None)


class DocumentView:
    """A task's documents by request index, each with its images as that request shows them.

    Stands at `lm.task_dict[task][split]`, where adapters look documents up.
    """

    def __init__(self, task: PerturbedTask, look_up: LookUp) -> None:
        """Remember how requests are looked up."""
        self._task = task
        self._look_up = look_up

    def __len__(self) -> int:
        """Return the number of indices, those of second turns included; adapters clamp to it."""
        return 2 * self._task.spec.indices

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return the document of a request."""
        request, shown = self._look_up(self._task.spec.name, index)
        document: dict[str, Any] = self._task.documents.text[request.document]
        second = {} if request.first is None else {SECOND_PROMPT: request.key.prompt}
        return document | {IMAGES: list(shown.images)} | second
