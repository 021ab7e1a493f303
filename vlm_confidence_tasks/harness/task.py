"""A benchmark wrapped in perturbations, as a task of the harness."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any, ClassVar, Protocol

from lmms_eval.api.instance import Instance
from lmms_eval.api.task import ConfigurableTask
from loguru import logger
from msgspec.structs import replace

from vlm_confidence_tasks import __version__, perturbations, probe
from vlm_confidence_tasks.attacks import ObjectiveProvider
from vlm_confidence_tasks.benchmarks import DocumentError, dataset, option_texts
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.evaluation.failures import max_failures
from vlm_confidence_tasks.evaluation.request import (
    NeedProvider,
    Request,
    TaskSpec,
    make_request,
)
from vlm_confidence_tasks.harness.document_masks import DocumentMasks
from vlm_confidence_tasks.harness.image_sizes import median_sizes, size_warning
from vlm_confidence_tasks.harness.metric_registration import DocumentValues, is_registered
from vlm_confidence_tasks.harness.options import message
from vlm_confidence_tasks.harness.task_config import check_greedy, read_config, stop_texts
from vlm_confidence_tasks.masks import MaskStore, QuestionMasks, provider
from vlm_confidence_tasks.metrics import Answers, NamedMetric
from vlm_confidence_tasks.sandbox import LOCAL_DATA, SANDBOX, data_folder
from vlm_confidence_tasks.types import CLEAN, Question, Sample, Variant

IMAGES = "vlm_confidence_images"
SECOND_PROMPT = "vlm_confidence_second_prompt"
# Settings that results files hold.
_DUMPED = ("max_side", "verbal", "loglik", "representations", "control")


@dataclass
class PerturbedInstance(Instance):
    """An instance of the harness with its request."""

    request: Request = field(kw_only=True)


class Evaluation(Protocol):
    """The evaluation, as far as its tasks use it."""

    @property
    def measures(self) -> frozenset[str]:
        """What the engine can measure (`probe.LogitSource`)."""

    @property
    def mask_store(self) -> MaskStore | None:
        """Where masks are kept; None: none are looked for, and all documents taken to have some."""

    def samples(self, task: str) -> Mapping[int, Sample]:
        """Return the documents of a task that this process measured, with their answers."""

    def failure(self, task: str, document: int) -> str | None:
        """Return why a document could not be measured, None if it was."""


class PerturbedTask(ConfigurableTask):
    """A task with one request per document for the clean image and one for each variant.

    A request's index, under which adapters look its document up, is
    `document * (1 + number of variants) + variant`, with variant 0 the clean image. The
    indices of second turns and of controls come after all of these.

    Attributes:
        providers: Set by subclasses: providers of the needs of perturbations other than the
            clean answer and the objective of an attack (`perturbations.needs`), by need; masks
            are those of the provider that YAML or environment name, if a subclass has none.
        evaluation: The current evaluation, None outside of one.
        chat: Whether the evaluated model takes chat messages.
        system: The evaluation's `--system_instruction`, "" for none.
        samples: By document, the answers of all processes, once all are measured.
        answers: The table of these answers.
    """

    providers: ClassVar[Mapping[str, NeedProvider]] = {}

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Build the task from its YAML.

        Raises:
            TaskError: A key or value is invalid, or the data is missing.
        """
        self.evaluation: Evaluation | None = None
        self.chat = False
        self.system = ""
        self.answers = Answers.of(())
        self.samples: dict[int, Sample] = {}
        self._places: dict[int, int] = {}
        self._values: dict[str, DocumentValues] = {}
        self._document_masks: DocumentMasks | None = None
        self._questions: dict[int, Question] = {}
        try:
            self.plan, harness_config = read_config(config)
            _check_needs(self.plan.variants, self._providers())
            super().__init__(config=harness_config)
        except ValueError as error:
            raise TaskError(f"task {config.get('task')}: {error}") from error

    def download(self, dataset_kwargs: Mapping[str, Any] | None = None) -> None:
        """Load the documents; the harness receives them without images."""
        self.documents = dataset.load(vars(self.config), self.plan.benchmark, data_folder())
        split = self.config.test_split or self.config.validation_split
        self.dataset = {split: self.documents.text}
        self.dataset_no_image = self.dataset

    @cached_property
    def spec(self) -> TaskSpec:
        """The task, as far as the evaluation needs it."""
        plan = self.plan
        return TaskSpec(
            name=str(self.task_name),
            benchmark=plan.benchmark,
            documents=self.documents,
            settings=plan.settings,
            max_failures=max_failures(plan.settings.max_failures),
            indices=len(self.documents.text) * (1 + len(plan.variants)),
            until=stop_texts(str(self.task_name), self.config.generation_kwargs),
            providers={"objective": ObjectiveProvider(self.documents), **self._providers()},
        )

    def _providers(self) -> Mapping[str, NeedProvider]:
        """Return the providers of the class, and that of masks."""
        return self.providers if self.masks is None else {**self.providers, "masks": self.masks}

    @cached_property
    def masks(self) -> QuestionMasks | None:
        """Finds what the questions name; None if no variant needs that from here.

        Raises:
            TaskError: There is no such provider.
        """
        if self.plan.masks is None or "masks" in self.providers:
            return None
        return QuestionMasks(provider(self.plan.masks), self.plan.settings.on_missing)

    def dump_config(self) -> dict[str, Any]:
        """Return the configuration for results files, including our keys."""
        return {
            **super().dump_config(),
            "benchmark": self.plan.benchmark.name,
            "perturbations": [str(variant) for variant in self.plan.variants],
            **{name: getattr(self.plan.settings, name) for name in _DUMPED},
            "image_sizes": self._image_sizes(),
            "masks": None if self.masks is None else self.masks.name,
            "max_failures": max_failures(self.plan.settings.max_failures),
            "generation_kwargs": self._generation(),
            "vlm_confidence_tasks": __version__,
            "versions": {name: version(name) for name in ("torch", "transformers")},
            "data": {"source": self._source(), "documents": len(self.documents.text)},
        }

    def _source(self) -> str:
        """Return the source of the documents: a hub id, a folder, or "sandbox"."""
        local = os.environ.get(LOCAL_DATA)
        if not local:
            return str(self.config.dataset_path)
        return local if local == SANDBOX else os.path.abspath(local)

    def _image_sizes(self) -> Mapping[str, list[float]] | None:
        return median_sizes(self.documents.sizes(), self.plan.settings.max_side)

    def question(self, index: int) -> Question:
        """Return the question of a document.

        Raises:
            TaskError: The document does not have the benchmark's schema.
        """
        if index not in self._questions:
            kwargs = self.lmms_eval_specific_kwargs or {}
            pre, post = kwargs.get("pre_prompt", ""), kwargs.get("post_prompt", "")
            try:
                question = self.plan.benchmark.question(self.documents.text[index], pre, post)
            except DocumentError as error:
                raise TaskError(f"task {self.task_name}, document {index}: {error}") from error
            if not question.image_id:
                question = replace(question, image_id=self.documents.digests()[index].hex())
            self._questions[index] = question
        return self._questions[index]

    def doc_to_text(self, doc: Mapping[str, Any]) -> str:
        """Return the document's prompt."""
        return self.question(doc[dataset.INDEX_COLUMN]).prompt

    def doc_to_target(self, doc: Mapping[str, Any]) -> str:
        """Return the right answer, "" where there is none."""
        return self.question(doc[dataset.INDEX_COLUMN]).gold or ""

    def doc_to_visual(self, doc: Mapping[str, Any]) -> list[Any]:
        """Return the images that the session's view added to the document."""
        return [doc[IMAGES][part] for part in self._content(doc) if isinstance(part, int)]

    def doc_to_messages(self, doc: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the images and the prompt as chat messages of the harness, the system's first."""
        content = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image", "url": doc[IMAGES][part]}
            for part in self._content(doc)
        ]
        system = [message("system", self.system)] if self.system else []
        return [*system, {"role": "user", "content": content}]

    def _content(self, doc: Mapping[str, Any]) -> tuple[str | int, ...]:
        """Return texts and indices of images, in the order in which they are shown."""
        index, stored = doc[dataset.INDEX_COLUMN], range(len(doc[IMAGES]))
        if SECOND_PROMPT in doc:
            return (*stored, doc[SECOND_PROMPT])
        question = self.question(index)
        content = question.content or (*stored, question.prompt)
        for part in content:
            if isinstance(part, int) and part not in stored:
                raise TaskError(
                    f"task {self.task_name}, document {index}: its text names image {part + 1}, "
                    f"but it has {len(stored)}"
                )
        return content

    def build_all_requests(self, **kwargs: Any) -> None:
        """Build the requests of this rank.

        The system instruction is a message of its own; the harness would put it before the prompt.

        Raises:
            TaskError: An option is not supported by perturbed tasks.
        """
        for is_set, why in (
            (kwargs.get("cache_requests"), "--cache_requests: requests are cheap to build"),
            (self.config.num_fewshot, "--num_fewshot: perturbed tasks are zero-shot"),
            ((self.config.repeats or 1) > 1, "--repeats: greedy answers do not vary"),
        ):
            if is_set:
                raise TaskError(f"task {self.task_name}: leave out {why}")
        try:
            check_greedy(self.config.generation_kwargs)
        except TaskError as error:
            raise TaskError(f"task {self.task_name}: {error}") from error
        questions = map(self.question, range(len(self.documents.text)))
        if self.plan.settings.loglik and not any(map(option_texts, questions)):
            raise TaskError(
                f"task {self.task_name}: loglik is true, but no question of benchmark "
                f"{self.plan.benchmark.name} has options to score: leave it out"
            )
        large = size_warning(self._image_sizes(), self.plan.variants)
        if large is not None and not kwargs.get("rank"):
            logger.warning(f"task {self.task_name}: {large}")
        store = self._evaluation().mask_store
        self._document_masks = None
        if self.masks is not None and store is not None:
            self.masks.store = store
            self._document_masks = DocumentMasks(
                self.masks, self.documents, self.plan.settings.max_side
            )
        super().build_all_requests(**kwargs | {"system_instruction": None})
        if self._document_masks is not None:
            self._document_masks.report(str(self.task_name))

    def construct_requests(self, doc_id: int, ctx: str, **kwargs: Any) -> list[Instance]:
        """Make one instance for the clean image and one for each variant that applies."""
        question, measures = self.question(doc_id), self._evaluation().measures
        variants = (CLEAN, *self.plan.variants)
        instances = []
        for position, variant in enumerate(variants):
            if variant == CLEAN or self._applies(variant, doc_id, question):
                index = doc_id * len(variants) + position
                generation = copy.deepcopy(self.config.generation_kwargs)
                keyed = self._generation()
                request = make_request(
                    self.spec, index, doc_id, question, variant, ctx, keyed, measures
                )
                arguments = self.arguments(index, ctx, generation)
                instances.append(
                    PerturbedInstance(
                        "generate_until", arguments, position, kwargs["metadata"], request=request
                    )
                )
        return instances

    def _generation(self) -> dict[str, Any]:
        """Return what decides on an answer besides prompt and images: part of keys and results."""
        system = {"system_instruction": self.system} if self.system else {}
        return {**(self.config.generation_kwargs or {}), **system}

    def _applies(self, variant: Variant, document: int, question: Question) -> bool:
        """Whether a variant of a document can be made."""
        if not perturbations.applies(variant, question.labels):
            return False
        masks = self._document_masks
        return masks is None or masks.can_show(variant, document, question)

    def arguments(self, index: int, prompt: str, generation: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return an instance's arguments, in the order of chat or of simple adapters.

        Args:
            index: The doc_id under which the adapter looks the document up.
            prompt: The text prompt.
            generation: Generation arguments.
        """
        split = self.config.test_split or self.config.validation_split
        where = (index, self.config.task, split)
        if self.chat:
            return (prompt, self.doc_to_messages, generation, *where)
        return (prompt, generation, self.doc_to_visual, *where)

    def apply_filters(self) -> Any:
        """Apply the harness's filters, and make the table of the answers of all processes.

        Every process gets here once for each task, after all answers and before the first result:
        to gather in an aggregation would wait for ever, since only the first process aggregates.
        """
        filtered = super().apply_filters()
        evaluation, name = self._evaluation(), str(self.task_name)
        parts = probe.gather(evaluation.samples(name))
        held = {index: sample for part in parts for index, sample in part.items()}
        self.samples = {index: held[index] for index in sorted(held)}
        self.answers = Answers.of(self.samples.values())
        self._places = {index: place for place, index in enumerate(self.samples)}
        self._values = {
            metric.name: DocumentValues.of(metric, self.answers) for metric in self.listed
        }
        return filtered

    @property
    def listed(self) -> list[NamedMetric]:
        """The metrics that the task aggregates."""
        # --predict_only replaces the list by the harness's own "bypass".
        return [self.plan.metrics[n] for n in self._aggregation_list if n in self.plan.metrics]

    def aggregation(self) -> dict[str, Any]:
        """Return the aggregations by metric: ours read the table of all answers."""
        found: dict[str, Any] = super().aggregation()
        return {
            name: partial(self._aggregate, name) if is_registered(name, function) else function
            for name, function in found.items()
        }

    def _aggregate(self, name: str, values: Sequence[Any]) -> float | None:
        """Return a metric of all answers; the documents' values are for the harness's errors."""
        metric: NamedMetric = self.plan.metrics[name]
        return metric.value(self.answers)

    def _evaluation(self) -> Evaluation:
        if self.evaluation is None:
            raise TaskError(f"task {self.task_name}: it works inside an evaluation only")
        return self.evaluation

    def process_results(self, doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
        """Return what each metric counts of a document; nothing of one that failed.

        The answers are not among it, since the harness takes every key for a metric: the session
        adds them to the document's row of the samples file (`row`).
        """
        place = self._places.get(doc[dataset.INDEX_COLUMN])
        if place is None:
            return {}
        image = self.question(doc[dataset.INDEX_COLUMN]).image_id
        found = {name: values.at(place, image) for name, values in self._values.items()}
        return {name: value for name, value in found.items() if value is not None}

    def row(self, index: int, failure: str | None) -> dict[str, Any]:
        """Return a document's part of its row of the samples file, and forget its answers.

        Args:
            index: The document.
            failure: Why it could not be measured; None if it was.
        """
        if failure is None:
            return self.samples.pop(index).to_dict()
        question = self.question(index)
        names = ("question_id", "category", "image_id", "gold", "labels", "positive")
        record = {name: getattr(question, name) for name in names}
        return {**record, "image_sha256": "", "readouts": [], "failed": failure}


def _check_needs(variants: Sequence[Variant], providers: Mapping[str, NeedProvider]) -> None:
    """Refuse variants with needs that have no provider, and providers of no such need.

    Raises:
        TaskError: There is one.
    """
    provided = perturbations.NEEDS.keys() - {"clean_answer"}
    if unknown := sorted(providers.keys() - provided):
        raise TaskError(
            f"providers has {unknown[0]!r}, expected {' or '.join(sorted(provided))}; the clean "
            "answer is provided by the run"
        )
    for variant in variants:
        missing = perturbations.needs_of(variant) - {"clean_answer", "objective"}
        missing -= providers.keys()
        if missing:
            raise TaskError(
                f"{variant.perturbation} needs {', '.join(sorted(missing))}, which this task's "
                "class does not provide: name it in `providers` of a subclass of PerturbedTask"
            )
