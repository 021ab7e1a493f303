"""Tasks that do what the code of "The Confidence Trap" does, and their controls.

No perturbed task: the noise is added behind the processor, and most conditions generate nothing.
An evaluation answers these instances itself, with the numbers as the answer's text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lmms_eval.api import registry
from lmms_eval.api.instance import Instance
from lmms_eval.api.task import ConfigurableTask
from tqdm import tqdm

from vlm_confidence_tasks import benchmarks, probe
from vlm_confidence_tasks.attacks.confidence_trap import CONDITIONS, trap_numbers
from vlm_confidence_tasks.benchmarks import dataset
from vlm_confidence_tasks.errors import TaskError, one_line
from vlm_confidence_tasks.perturbations import image_digest
from vlm_confidence_tasks.sandbox import data_folder

METRICS = ("trap_entropy_clean", "trap_entropy", "trap_entropy_delta", "trap_entropy_drop_rate")


class TrapInstance(Instance):
    """An instance of a `TrapTask`, which the evaluation answers."""


def is_trap(instance: Instance) -> bool:
    """Whether an instance is one of a `TrapTask`."""
    return isinstance(instance, TrapInstance)


class TrapTask(ConfigurableTask):
    """A task of one number a document: the entropy's change, by the repository's protocol."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Build the task from its YAML; its own keys are benchmark, epsilon and condition.

        Raises:
            TaskError: A value is invalid, or the data is missing.
        """
        own = ("class", "benchmark", "epsilon", "condition")
        self.benchmark = benchmarks.get(str(config.get("benchmark")))
        self.epsilon: Any = config.get("epsilon", 0.0)
        self.condition: Any = config.get("condition")
        if self.condition not in CONDITIONS or not isinstance(self.epsilon, float | int):
            raise TaskError(
                f"task {config.get('task')}: condition is {self.condition!r} and epsilon "
                f"{self.epsilon!r}, expected {', '.join(CONDITIONS)} and a number"
            )
        rest = {key: value for key, value in config.items() if key not in own}
        listed = [
            {"metric": name, "aggregation": "mean", "higher_is_better": None} for name in METRICS
        ]
        _register()
        super().__init__(config={**rest, "metric_list": listed})

    def download(self, dataset_kwargs: Mapping[str, Any] | None = None) -> None:
        """Load the documents; the harness receives them without images."""
        self.documents = dataset.load(vars(self.config), self.benchmark, data_folder())
        split = self.config.test_split or self.config.validation_split
        self.dataset = self.dataset_no_image = {split: self.documents.text}

    def doc_to_text(self, doc: Mapping[str, Any]) -> str:
        """Return the document's prompt."""
        return self.benchmark.question(doc, "", "").prompt

    def doc_to_target(self, doc: Mapping[str, Any]) -> str:
        """Return nothing: there is no right answer."""
        return ""

    def construct_requests(self, doc_id: int, ctx: str, **kwargs: Any) -> list[Instance]:
        """Make the document's one instance."""
        split = self.config.test_split or self.config.validation_split
        arguments = (ctx, self.config.generation_kwargs, None, doc_id, self.config.task, split)
        return [TrapInstance("generate_until", arguments, 0, kwargs["metadata"])]

    def answer(self, source: probe.LogitSource, doc_id: int, prompt: str) -> str:
        """Return a document's numbers as JSON.

        Raises:
            TaskError: Its image cannot be read.
        """
        try:
            with dataset.strict_decoding():
                (image,) = self.documents.images(doc_id)
        except Exception as error:
            # Decoders raise many types, such as SyntaxError for a broken PNG chunk.
            where = f"task {self.task_name}, document {doc_id}"
            raise TaskError(f"{where}: cannot read its image: {one_line(error)}") from error
        most = int(self.config.generation_kwargs.get("max_new_tokens", 128))
        found = trap_numbers(source, image, prompt, float(self.epsilon), self.condition, most)
        return json.dumps(found | {"image_sha256": image_digest(image)})

    def process_results(self, doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
        """Turn a document's numbers into its row and the metrics' values."""
        found = json.loads(results[0])
        delta = found["entropy"] - found["entropy_clean"]
        values = (found["entropy_clean"], found["entropy"], delta, float(delta < 0))
        return dict(zip(METRICS, values, strict=True))


def _register() -> None:
    """Make the metrics' names known to the harness."""
    for name in METRICS:
        if name not in registry.METRIC_REGISTRY:
            registry.register_metric(metric=name, higher_is_better=None, aggregation="mean")(float)


@contextmanager
def answering(lm: Any, tasks: Sequence[TrapTask]) -> Iterator[None]:
    """Answer the instances of these tasks in place of the adapter in the block."""
    by_name = {str(task.task_name): task for task in tasks}
    source, generate = probe.find_source(lm), lm.generate_until

    def generate_until(instances: Sequence[Instance]) -> list[Any]:
        others = [item for item in instances if not isinstance(item, TrapInstance)]
        results = iter(generate(others) if others else ())
        own = len(others) < len(instances)
        return [
            by_name[item.task_name].answer(source, item.args[3], item.args[0])
            if isinstance(item, TrapInstance)
            else next(results)
            for item in tqdm(instances, desc="Confidence trap", disable=not own)
        ]

    with probe.replaced(lm, "generate_until", generate_until):
        yield
