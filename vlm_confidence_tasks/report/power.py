"""What these images can show, and how many an effect takes: planning by the data of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vlm_confidence_tasks.metrics import (
    Answers,
    Interval,
    Mean,
    NamedMetric,
    measured_in,
    metrics_for,
)
from vlm_confidence_tasks.metrics.functional.checks import Bools, Floats, Ints
from vlm_confidence_tasks.metrics.inference.clusters import sides
from vlm_confidence_tasks.metrics.inference.power import Detectable, detectable
from vlm_confidence_tasks.metrics.statistics.statistic import Rows
from vlm_confidence_tasks.report.compare import PLACES, tasks_of
from vlm_confidence_tasks.report.digits import digits
from vlm_confidence_tasks.report.inputs.held_samples import read_held
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import TaskRun
from vlm_confidence_tasks.report.inputs.samples import SamplesError, documents

# In nats, on a scale of the model's own: an effect is a share of the clean entropy.
ENTROPIES = ("entropy", "entropy_clean", "entropy_delta")
CLEAN_ENTROPY = "entropy_clean"
# Of all that answers move a mean by, as a share.
_ROUNDING = 1e-12
HEADS = (
    *("task", "metric", "value", "images", "q/img", "std. error"),
    *("design", "detectable", "asked", "images for it"),
)


@dataclass(frozen=True)
class Wanted:
    """What is asked: the effect, the level of the interval and the power."""

    effect: float
    level: float
    power: float


@dataclass(frozen=True)
class Plan:
    """What the images of a task can show of one number.

    Attributes:
        task: The task.
        metric: The number: a metric, a perturbed one less the clean one, or B - A of two runs.
        value: The number.
        images: Number of images.
        questions: Number of documents.
        error: Its standard error over images.
        design_effect: Its variance over images over that of as many independent answers (of pairs
            of them for a difference); None where all agree.
        influence: Of a mean, the share of the variance that one image carries.
        detectable: The smallest effect that such images can show; None where `why` says so.
        asked: The effect that was asked for, in units of the number.
        images_needed: How many such images it takes; None where `why` says so.
        why: Why a number is absent.
    """

    task: str
    metric: str
    value: float
    images: int
    questions: int
    error: float
    design_effect: float | None
    influence: float | None
    detectable: float | None
    asked: float | None
    images_needed: int | None
    why: str | None


@dataclass(frozen=True)
class _Number:
    """A mean of one view, or its difference in two, and the effect that is asked for."""

    name: str
    mean: Mean
    views: tuple[Answers, ...]
    asked: float

    def at(self, level: float) -> Interval | None:
        """Return the interval of a level."""
        first, *others = self.views
        if others:
            return self.mean.difference(first, others[0], level)
        return self.mean.interval(first, level)


def plan_images(
    paths: Sequence[Path], wanted: Wanted, problems: Problems, quiet: bool = True
) -> list[Plan]:
    """Plan by one run, or by the paired differences B - A of two; bad input is a problem."""
    runs = [tasks_of(path, problems) for path in paths]
    shared = [task for task in runs[0] if all(task in others for others in runs)]
    if all(runs) and not shared:
        problems.add(paths[-1], f"no task in common with {paths[0]}: {', '.join(runs[-1])} here")
    plans: list[Plan] = []
    for task in tqdm(shared, desc="Tasks", disable=quiet):
        tables = _tables([found[task] for found in runs], problems)
        plans += [plan for one in _numbers(tables, wanted) for plan in _plans(task, one, wanted)]
    return plans


def _tables(runs: Sequence[TaskRun], problems: Problems) -> list[Answers]:
    """Return the tables of the documents that all runs answered; none if they cannot be read."""
    try:
        held = [documents(read_held(run).file.samples) for run in runs]
    except SamplesError as error:
        problems.add_line(str(error))
        return []
    common = sorted(set.intersection(*map(set, held)))
    if not common:
        problems.add(runs[-1].samples, f"no document in common with {runs[0].samples}")
        return []
    images = sorted({samples[key].image_id for samples in held for key in common})
    return [Answers.of([samples[key] for key in common], images) for samples in held]


def _numbers(tables: Sequence[Answers], wanted: Wanted) -> Iterator[_Number]:
    """Yield the core means of a run, and what perturbation changes; of two runs B - A of each."""
    families = dict.fromkeys(name for table in tables for name in table.families)
    known = metrics_for(families, [found for table in tables for found in measured_in(table)])
    core = {name: metric for name, metric in known.items() if metric.is_core}
    for name, metric in core.items():
        if not isinstance(mean := metric.statistic, Mean):
            continue
        scale = known[CLEAN_ENTROPY].value(tables[0]) if name in ENTROPIES else 1.0
        asked = wanted.effect * (scale or 0.0)
        shown = f"{name}, B - A" if len(tables) > 1 else name
        yield _Number(shown, mean, tuple(map(metric.view, tables)), asked)
        clean = _clean(metric, core)
        if clean is not None and len(tables) == 1 and name not in ENTROPIES:
            views = clean.view(tables[0]), metric.view(tables[0])
            yield _Number(f"{name} - {clean.name}", mean, views, asked)


def _clean(metric: NamedMetric, core: dict[str, NamedMetric]) -> NamedMetric | None:
    """Return the metric that is the same on clean images; None if it is that, or has none."""
    both = [other for other in core.values() if other.record is metric.record]
    return both[1] if len(both) == 2 and metric is both[0] else None


def _plans(task: str, number: _Number, wanted: Wanted) -> Iterator[Plan]:
    """Yield the plan by a number, unless the runs do not hold it."""
    rows = number.mean.rows(*number.views)
    if rows is None:
        return
    numbers = number.mean.numbers(rows)
    images = np.unique(rows.image).size
    shown = number.at(wanted.level)
    variance, independent = spread(numbers, rows)
    error = math.sqrt(variance)
    found = detectable(number.at, images, wanted.level, wanted.power, error)
    why = _why(rows, shown, found, number.asked)
    yield Plan(
        task=task,
        metric=number.name,
        value=_change([float(numbers[side].mean()) for side in sides(rows.second, numbers.size)]),
        images=images,
        questions=np.unique(rows.document).size,
        error=error,
        design_effect=variance / independent if independent > 0 else None,
        influence=None if shown is None else shown.influence,
        detectable=None if found is None else found.effect,
        asked=number.asked or None,
        images_needed=None if why or found is None else found.images_for(number.asked),
        why=why,
    )


def _change(values: Sequence[float]) -> float:
    return values[-1] - (values[0] if len(values) > 1 else 0.0)


def _why(rows: Rows, shown: Interval | None, found: Detectable | None, asked: float) -> str | None:
    """Say why nothing can be planned, if that is so."""
    reasons = {
        "too few images": rows.too_few,
        "all images agree": shown is None,
        "one image decides": found is None,
        "the clean entropy is 0": not asked > 0,
    }
    return next((why for why, so in reasons.items() if so), None)


def spread(numbers: Floats, rows: Rows) -> tuple[float, float]:
    """Return the variance over images of a mean or a difference, and that of independent answers.

    Each answer moves the mean by (its number - mean) / answers. What answers of an image move it by
    together is squared, or what each moves it by alone: of a difference the k-th answers to a
    document in both views.

    Args:
        numbers: Whose mean it is, [N].
        rows: The answers.

    Source: Kish 1965, section 5.4, and chapter 8 on the design effect.
    """
    *others, last = sides(rows.second, numbers.size)
    moved = np.zeros(numbers.size)
    for side, sign in ((last, 1.0), *((side, -1.0) for side in others)):
        moved[side] = sign * (numbers[side] - numbers[side].mean()) / np.count_nonzero(side)
    return _variance(moved, rows.image), _variance(moved, _pairs(rows.document, last))


def _variance(moved: Floats, group: Ints) -> float:
    _, index = np.unique(group, return_inverse=True)
    totals = np.bincount(index, moved)
    # Rounding alone is no variance.
    totals[np.abs(totals) < _ROUNDING * np.abs(moved).sum()] = 0.0
    return float((totals**2).sum() * totals.size / max(1, totals.size - 1))


def _pairs(document: Ints, second: Bools) -> Ints:
    """Number the answers so that the k-th to a document have one number in both views, [N]."""
    group = 2 * document + second
    order = np.argsort(group, kind="stable")
    place = np.empty(document.size, dtype=np.intp)
    place[order] = np.arange(document.size) - np.searchsorted(group[order], group[order])
    numbers: Ints = document * (int(place.max()) + 1) + place
    return numbers


def to_text(plans: Sequence[Plan], wanted: Wanted) -> str:
    """Write plans for a terminal."""
    rows = [HEADS, *map(_cells, plans)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", *explanations(wanted)])


def explanations(wanted: Wanted) -> Iterator[str]:
    """Say how to read the table."""
    yield (
        f"Detectable: the distance from the truth at which the {100 * wanted.level:g}% interval of "
        f"such images excludes a value in {100 * wanted.power:g}% of samples."
    )
    yield (
        f"Asked: an effect of {wanted.effect:g}, of entropies as a share of the clean entropy; "
        "images for it: with as many questions on each, by Student's t."
    )
    yield "Design: variance over images / that of as many independent answers, or pairs of them."
    yield (
        "Of skewed numbers and rare events the power is less on one side, and some samples have no "
        "verdict: docs/studies/power.md."
    )


def _cells(plan: Plan) -> tuple[str, ...]:
    numbers = (plan.error, plan.design_effect, plan.detectable, plan.asked)
    places = (PLACES, 1, PLACES, PLACES)
    error, design, shown, asked = (
        "-" if number is None else digits(number, place)
        for number, place in zip(numbers, places, strict=True)
    )
    needed = "-" if plan.images_needed is None else str(plan.images_needed)
    return (
        plan.task,
        plan.metric,
        digits(plan.value, PLACES),
        str(plan.images),
        f"{plan.questions / plan.images:.1f}",
        *(error, design, shown, asked),
        f"{needed} ({plan.why})" if plan.why else needed,
    )


def to_record(plans: Sequence[Plan], wanted: Wanted) -> dict[str, Any]:
    """Return plans as JSON types."""
    return {
        **vars(wanted),
        "notes": list(explanations(wanted)),
        "plans": [vars(plan) for plan in plans],
    }
