"""What a run would cost, from the requests that it would make."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from types import SimpleNamespace
from typing import Any

from vlm_confidence_tasks.errors import MeasurementError, TaskError, one_line
from vlm_confidence_tasks.evaluation.failures import located
from vlm_confidence_tasks.evaluation.images import ShownImages
from vlm_confidence_tasks.evaluation.planned_calls import (
    KINDS,
    PlannedImages,
    identity,
    is_adaptive,
    planned_calls,
)
from vlm_confidence_tasks.evaluation.request import Generation, Request
from vlm_confidence_tasks.harness import plugin
from vlm_confidence_tasks.harness.adapter import DocumentView, HarnessAdapter
from vlm_confidence_tasks.harness.task import PerturbedTask
from vlm_confidence_tasks.models.counting_adapter import CountingAdapter, counting
from vlm_confidence_tasks.probe import ProbeError

ALL = "all"
# The rows of the table below those by kind. `*`: at most, where images depend on answers.
ROWS = {
    "scored_options": "options scored",
    "option_tokens": "tokens of options",
    "passes": "passes over images and prefixes*",
    "prompt_tokens": "prompt tokens, shared*",
    "prompt_tokens_alone": "prompt tokens, one by one",
    "new_tokens": "tokens to generate, at most",
}


class PlanError(TaskError):
    """The run cannot be planned."""


@dataclass
class Share:
    """What a task takes of a run; what several tasks share is counted in one of them.

    Attributes:
        documents: Documents.
        answers: Answers, by kind.
        images: Images that are shown, each with its kind; those of one document together are one.
        counts: Scored options, and what `CountingAdapter` counts.
        adaptive: Whether images depend on answers, so that images, passes and prompt tokens are
            at most these.
    """

    documents: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    images: set[tuple[str, Any]] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    adaptive: bool = False

    def __add__(self, other: Share) -> Share:
        """Return what two tasks take together."""
        return Share(
            self.documents + other.documents,
            self.answers + other.answers,
            self.images | other.images,
            self.counts + other.counts,
            self.adaptive or other.adaptive,
        )

    def numbers(self) -> dict[str, Any]:
        """Return all numbers, for JSON."""
        images = Counter(kind for kind, _ in self.images)
        return {
            "documents": self.documents,
            "images": {kind: images[kind] for kind in KINDS if kind != "second turn"},
            "answers": {kind: self.answers[kind] for kind in KINDS},
            **{name: self.counts[name] for name in ROWS},
            "at_most": self.adaptive,
        }


def run(options: argparse.Namespace) -> str:
    """Return the plan of a run as a table, or as JSON.

    Args:
        options: `tasks`, `model`, `model_args`, `batch_size`, `limit`, `include_path`, `json`: as
            for the harness.

    Raises:
        PlanError: The tasks or the model cannot be planned.
    """
    plugin.install_tasks()
    tasks = _tasks(options.tasks.split(","), options.model, options.include_path)
    lm = _model(options.model, options.model_args, options.batch_size)
    try:
        shares = plan(lm, tasks, options.limit)
    except (MeasurementError, ProbeError, ValueError) as error:
        raise PlanError(str(error)) from error
    numbers = {name: share.numbers() for name, share in shares.items()}
    return json.dumps(numbers, indent=2) if options.json else table(numbers)


def _tasks(
    names: Sequence[str], model: str, include_path: str | None
) -> Mapping[str, PerturbedTask]:
    """Load tasks and groups by name.

    Raises:
        PlanError: There is no such task, or it is not perturbed.
    """
    from lmms_eval.tasks import TaskManager, get_task_dict

    manager = TaskManager("WARNING", include_path=include_path, model_name=model)
    found = manager.match_tasks(list(names))
    missing = [name for name in names if name not in found and "*" not in name]
    if missing or not found:
        raise PlanError(
            f"there is no task {', '.join(missing or names)}: `lmms_eval tasks list` shows them"
        )
    try:
        loaded = list(plugin.leaves(get_task_dict(found, manager, "chat")))
    except Exception as error:
        raise PlanError(str(error)) from error
    for task in loaded:
        if not isinstance(task, PerturbedTask):
            raise PlanError(f"task {task.config.task} is none of perturbed images: leave it out")
    return {str(task.task_name): task for task in loaded}


def _model(name: str, arguments: str, batch_size: int) -> CountingAdapter:
    """Load a model's configuration and processor.

    Raises:
        PlanError: There is none, or it is no vision-language model.
    """
    from lmms_eval.models import get_model

    try:
        adapter = counting(get_model(name))
        made: CountingAdapter = adapter.create_from_arg_string(
            arguments, {"batch_size": batch_size}
        )
    except Exception as error:
        raise PlanError(
            f"--model {name} --model_args {arguments}: configuration and processor cannot be used: "
            f"{one_line(error)}"
        ) from error
    return made


def plan(
    lm: CountingAdapter, tasks: Mapping[str, PerturbedTask], limit: int | None
) -> dict[str, Share]:
    """Return what each task takes of a run, and all together.

    Args:
        lm: The model, without weights.
        tasks: The run's tasks, by name.
        limit: Documents of each task; None: all.
    """
    engine, images = HarnessAdapter(lm, tasks, None), PlannedImages()
    current: dict[tuple[str, int], Request] = {}
    shares = {name: Share() for name in tasks}

    def look_up(task: str, index: int) -> tuple[Request, ShownImages]:
        request = current[task, index]
        with located(request.place):
            return request, images.shown(request)

    def answer(requests: Sequence[Request]) -> list[Generation | None]:
        for name, _ in {(request.task.name, request.document) for request in requests}:
            shares[name].documents += 1
        for kind, call in planned_calls(requests, images, engine.batch_size.now or 1):
            current.clear()
            current.update({(one.task.name, one.index): one for one in call})
            engine.generate(call)
            shares[call[0].task.name] += Share(
                answers=Counter({kind: len(call)}),
                images={(kind, identity(one)) for one in call},
                counts=lm.counts + Counter(scored_options=sum(len(one.options) for one in call)),
                adaptive=any(map(is_adaptive, call)),
            )
        return [None] * len(requests)

    lm.options = lambda task, index: current[task, index].options
    # A provider of masks may be a large model: at most, all documents have masks.
    evaluation: Any = SimpleNamespace(measures=engine.source.measures, mask_store=None)
    instances = []
    for name, task in tasks.items():
        task.evaluation, task.chat = evaluation, True
        lm.task_dict[name] = {next(iter(task.dataset)): DocumentView(task, look_up)}
        task.build_all_requests(limit=limit, rank=0, world_size=1)
        instances += task.instances
    with engine.quiet():
        engine.generate_until(answer, instances)
    return shares | {ALL: reduce(add, shares.values())} if len(shares) > 1 else shares


def table(plans: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the numbers of a plan as a table: a column for each task, no row of zeros."""
    every = list(plans.values())
    most = ", at most" if any(share["at_most"] for share in every) else ""
    rows = {"documents": [share["documents"] for share in every]}
    for part, name in (("images", "images shown"), ("answers", "answers")):
        for kind in every[0][part]:
            mark = "*" if (part, kind) == ("images", "perturbed") else ""
            rows[f"{name}, {kind}{mark}"] = [share[part][kind] for share in every]
    rows |= {text: [share[name] for share in every] for name, text in ROWS.items()}
    lines = [["", *plans]]
    lines += [
        [name.replace("*", most), *(f"{value:,}" for value in values)]
        for name, values in rows.items()
        if any(values)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([f"{name:<{widths[0]}}", *map(str.rjust, cells, widths[1:])])
        for name, *cells in lines
    )
