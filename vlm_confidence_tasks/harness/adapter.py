"""Converts between the harness's model adapters and instances and the evaluation's records."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import tqdm
from lmms_eval.api.instance import (
    GenerationResult,
    Instance,
    TokenCounts,
    unwrap_generation_output,
)

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.evaluation.controls import CONTROLS
from vlm_confidence_tasks.evaluation.engine import BatchSize
from vlm_confidence_tasks.evaluation.images import ShownImages
from vlm_confidence_tasks.evaluation.request import Generation, Request
from vlm_confidence_tasks.harness.reasoning import Tags, read_tags, strip_thinking
from vlm_confidence_tasks.harness.task import (
    IMAGES,
    SECOND_PROMPT,
    PerturbedInstance,
    PerturbedTask,
)

# Prefixes of texts that the harness's adapters of OpenAI-compatible servers return instead of
# an answer, after their retries or when the token budget is spent.
FAILURE_TEXTS = ("[LMMS_EVAL_REQUEST_FAILED", "[LMMS_EVAL_BUDGET_EXCEEDED")

AnswerRequests = Callable[[Sequence[Request]], list[Generation | None]]
LookUp = Callable[[str, int], tuple[Request, ShownImages]]


class HarnessAdapter:
    """An `evaluation.engine.Engine` that answers requests with an adapter of the harness."""

    def __init__(
        self, lm: Any, tasks: Mapping[str, PerturbedTask], default_tags: Tags | None
    ) -> None:
        """Store the adapter's own `generate_until`, before a session replaces it.

        Args:
            lm: The harness's adapter.
            tasks: The perturbed tasks of the run, by name.
            default_tags: Tags around a reasoning model's thinking, for tasks without their own.

        Raises:
            ProbeError: The adapter's model cannot be measured.
        """
        self.name = type(lm).__name__
        self.source = probe.find_source(lm)
        self.batch_size = BatchSize(lm)
        self._lm = lm
        self._generate = lm.generate_until
        self._tasks = tasks
        self._default_tags = default_tags
        self._instances: dict[tuple[str, int], Instance] = {}

    def generate_until(self, answer: AnswerRequests, instances: Sequence[Instance]) -> list[Any]:
        """Answer instances: those of perturbed tasks through `answer`, others with the adapter."""
        perturbed = [item for item in instances if isinstance(item, PerturbedInstance)]
        others = [item for item in instances if not isinstance(item, PerturbedInstance)]
        results = iter(self._generate(others) if others else ())
        self._instances = {(item.task_name, item.request.index): item for item in perturbed}
        answers = iter(answer([item.request for item in perturbed]))
        self._instances.clear()
        return [
            _result(next(answers)) if isinstance(item, PerturbedInstance) else next(results)
            for item in instances
        ]

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answer requests; exceptions of the adapter are not handled here."""
        outputs = self._generate([self._instance(request) for request in requests])
        return [_generation(*unwrap_generation_output(output)) for output in outputs]

    def _instance(self, request: Request) -> Instance:
        """Return the harness's instance of a request; a new one for a second turn or a control."""
        name, indices = request.task.name, request.task.indices
        first = self._instances[name, request.index % indices]
        if request.index < indices:
            return first
        task = self._tasks[name]
        generation = copy.deepcopy(task.config.generation_kwargs)
        arguments = task.arguments(request.index, request.key.prompt, generation)
        return Instance("generate_until", arguments, first.idx, first.metadata)

    def answer_text(self, request: Request, text: str) -> str:
        """Return an answer's text without a reasoning model's thinking."""
        own = self._tasks[request.task.name].config.reasoning_tags
        tags = self._default_tags if own is None else read_tags("reasoning_tags", own)
        return strip_thinking(text, tags)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Silence the progress bars that the adapter opens in each of its calls.

        Adapters import `tqdm` into their own modules; in the block it is replaced there by a
        disabled one.
        """

        def silent(*args: Any, **kwargs: Any) -> Any:
            return tqdm.tqdm(*args, **{**kwargs, "disable": True})

        with ExitStack() as stack:
            for module in {sys.modules[cls.__module__] for cls in type(self._lm).__mro__}:
                if getattr(module, "tqdm", None) is tqdm.tqdm:
                    stack.enter_context(probe.replaced(module, "tqdm", silent))
            yield


def _result(generation: Generation | None) -> Any:
    """Return an answer in the harness's form: "" for a failed request."""
    if generation is None:
        return ""
    text, counts = generation.text, generation.token_counts
    return text if counts is None else GenerationResult(text, TokenCounts(**counts))


def _generation(text: Any, counts: Any) -> Generation:
    counts = None if counts is None else vars(counts)
    # Servers send messages without content, as for an answer cut off while thinking; as a
    # string that would be the answer "None".
    if text is None:
        return Generation("", counts, "it returned None in place of a text")
    # A subclass of str may carry log-probabilities and must not be converted.
    text = probe.escaped(text if isinstance(text, str) else str(text))
    failed = text.lstrip().startswith(FAILURE_TEXTS)
    return Generation(text, counts, " ".join(text.split()) if failed else None)


class DocumentView:
    """A task's documents by request index, each with the images that the request shows.

    Replaces `lm.task_dict[task][split]`, where adapters look documents up.
    """

    def __init__(self, task: PerturbedTask, look_up: LookUp) -> None:
        """Store the function that looks requests up."""
        self._task = task
        self._look_up = look_up

    def __len__(self) -> int:
        """Return the number of indices, second turns and controls too; adapters clamp to it."""
        return (2 + CONTROLS) * self._task.spec.indices

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return the document of a request."""
        request, shown = self._look_up(self._task.spec.name, index)
        document: dict[str, Any] = self._task.documents.text[request.document]
        second = {} if request.first is None else {SECOND_PROMPT: request.key.prompt}
        return document | {IMAGES: list(shown.images)} | second
