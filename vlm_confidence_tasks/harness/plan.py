"""What a run would cost, from the requests that it would make."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from vlm_confidence_tasks.errors import MeasurementError, TaskError, one_line
from vlm_confidence_tasks.evaluation.batch_tracker import BatchTracker
from vlm_confidence_tasks.evaluation.failures import located
from vlm_confidence_tasks.evaluation.images import ShownImages
from vlm_confidence_tasks.evaluation.planning import (
    PlannedCall,
    PlannedImages,
    identity,
    is_adaptive,
    planned_calls,
)
from vlm_confidence_tasks.evaluation.request import Request, Response
from vlm_confidence_tasks.harness import plugin
from vlm_confidence_tasks.harness.adapter import DocumentView, HarnessAdapter
from vlm_confidence_tasks.harness.task import PerturbedTask
from vlm_confidence_tasks.models.planning import Cost, CountingAdapter, counting
from vlm_confidence_tasks.probe import ProbeError, replaced
from vlm_confidence_tasks.types import Sample

KINDS = ("clean", "perturbed", "control", "blank", "second turn")
ALL = "all"


class PlanError(TaskError):
    """The run cannot be planned."""


@dataclass
class Share:
    """What a task takes of a run; what several tasks share is counted in one of them.

    Attributes:
        documents: Documents.
        answers: Answers, by kind.
        images: Images that are shown, by kind; those of one document together are one.
        scored: Options that are scored.
        cost: Tokens and operations.
        adaptive: Whether images depend on answers, so that images, passes and prompt tokens are
            at most these.
    """

    documents: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    images: dict[str, set[Any]] = field(default_factory=lambda: {kind: set() for kind in KINDS})
    scored: int = 0
    cost: Cost = field(default_factory=Cost)
    adaptive: bool = False

    def add(self, call: PlannedCall, cost: Cost) -> None:
        """Add a call of the engine."""
        self.answers[call.kind] += len(call.requests)
        self.images[call.kind].update(map(identity, call.requests))
        self.scored += sum(len(request.options) for request in call.requests)
        self.cost += cost
        self.adaptive |= any(map(is_adaptive, call.requests))

    def numbers(self) -> dict[str, Any]:
        """Return all numbers, for JSON."""
        return {
            "documents": self.documents,
            "images": {kind: len(self.images[kind]) for kind in KINDS if kind != "second turn"},
            "answers": {kind: self.answers[kind] for kind in KINDS},
            "scored_options": self.scored,
            **asdict(self.cost),
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
        raise PlanError(" ".join(str(error).split())) from error
    if options.json:
        return json.dumps({name: share.numbers() for name, share in shares.items()}, indent=2)
    return table(shares)


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
        raise PlanError(" ".join(str(error).split())) from error
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

    def look_up(task: str, index: int) -> tuple[Request, ShownImages]:
        request = current[task, index]
        with located(request.place):
            return request, images.shown(request)

    instances = []
    for name, task in tasks.items():
        task.evaluation, task.chat = _Planned(engine.source.measures), True
        lm.task_dict[name] = {next(iter(task.dataset)): DocumentView(task, look_up)}
        task.build_all_requests(limit=limit, rank=0, world_size=1)
        instances += task.instances
    shares = {name: Share() for name in tasks}
    tracker = BatchTracker(lambda answers: None)

    def announce(rows: Sequence[tuple[str, int]]) -> None:
        tracker.announce([current[row] for row in rows])

    def answer(requests: Sequence[Request]) -> list[Response | None]:
        for name, _ in {(request.task.name, request.document) for request in requests}:
            shares[name].documents += 1
        for call in planned_calls(requests, images, engine.batch_size.now or 1):
            current.clear()
            current.update({(one.task.name, one.index): one for one in call.requests})
            engine.generate(call.requests)
            shares[call.requests[0].task.name].add(call, lm.cost)
        return [None] * len(requests)

    with (
        engine.quiet(),
        replaced(lm, "announce_rows", announce),
        engine.source.reading(tracker, False),
    ):
        engine.generate_until(answer, instances)
    return shares | {ALL: _sum(shares.values())} if len(shares) > 1 else shares


class _Planned:
    """In place of an evaluation, while tasks build their requests."""

    def __init__(self, measures: frozenset[str]) -> None:
        self.measures = measures
        # Their provider may be a large model: at most, all documents have masks.
        self.mask_store = None

    def measured(self, task: str) -> list[int]:
        return []

    def sample(self, task: str, document: int) -> Sample:
        raise NotImplementedError("nothing is measured")

    def failure(self, task: str, document: int) -> str | None:
        raise NotImplementedError("nothing is measured")


def _sum(shares: Iterable[Share]) -> Share:
    total = Share()
    for share in shares:
        total.documents += share.documents
        total.answers.update(share.answers)
        for kind, images in share.images.items():
            total.images[kind] |= images
        total.scored += share.scored
        total.cost += share.cost
        total.adaptive |= share.adaptive
    return total


def table(shares: Mapping[str, Share]) -> str:
    """Return a plan as a table: a column a task."""
    lines: list[tuple[str, list[str]]] = [("", list(shares))]

    def row(name: str, values: Sequence[int | float], unit: str = "") -> None:
        lines.append((name, [f"{value:,.{2 if unit else 0}f}{unit}" for value in values]))

    every = list(shares.values())
    most = ", at most" if any(share.adaptive for share in every) else ""
    row("documents", [share.documents for share in every])
    for what, kinds in (("images shown", KINDS[:-1]), ("answers", KINDS)):
        for kind in kinds:
            counts = [
                len(share.images[kind]) if what == "images shown" else share.answers[kind]
                for share in every
            ]
            limit = most if what == "images shown" and kind == "perturbed" else ""
            if any(counts):
                row(f"{what}, {kind}{limit}", counts)
    if any(share.scored for share in every):
        row("options scored", [share.scored for share in every])
        row("tokens of options", [share.cost.option_tokens for share in every])
    costs = [share.cost for share in every]
    row(f"passes over images and prefixes{most}", [cost.passes for cost in costs])
    row(f"prompt tokens, shared{most}", [cost.prompt_tokens for cost in costs])
    row("prompt tokens, one by one", [cost.prompt_tokens_alone for cost in costs])
    row("tokens to generate, at most", [cost.new_tokens for cost in costs])
    scale, unit = _unit(max(cost.prompt_flops_alone + cost.new_flops for cost in costs))
    for name, values in (
        (f"operations on prompts, shared{most}", [cost.prompt_flops for cost in costs]),
        ("operations on prompts, one by one", [cost.prompt_flops_alone for cost in costs]),
        ("operations on answers, at most", [cost.new_flops for cost in costs]),
    ):
        row(name, [value / scale for value in values], unit)
    width = max(len(name) for name, _ in lines)
    columns = [max(map(len, column)) for column in zip(*(cells for _, cells in lines), strict=True)]
    return "\n".join(
        "  ".join([f"{name:<{width}}", *(f"{c:>{n}}" for c, n in zip(cells, columns, strict=True))])
        for name, cells in lines
    )


def _unit(most: float) -> tuple[float, str]:
    """Return the largest unit of operations of which there is one at least."""
    units = ((1e15, " PFLOP"), (1e12, " TFLOP"), (1e9, " GFLOP"))
    return next(((scale, name) for scale, name in units if most >= scale), (1e6, " MFLOP"))
