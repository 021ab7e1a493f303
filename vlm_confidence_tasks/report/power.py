"""What these images can show, and how many an effect takes: planning by the data of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vlm_confidence_tasks.metrics import (
    Answers,
    Mean,
    NamedMetric,
    current_names,
    measured_in,
    metrics_for,
)
from vlm_confidence_tasks.metrics.catalogue.metric import CLEAN
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, sides
from vlm_confidence_tasks.metrics.inference.power import (
    POWER,
    detectable,
    is_skewed,
    moves,
    variance_of,
)
from vlm_confidence_tasks.report.compare import COPY, PLACES, tasks_of
from vlm_confidence_tasks.report.digits import FEWEST_MEASURED, digits, images_told
from vlm_confidence_tasks.report.inputs.copies import Signature, agreement
from vlm_confidence_tasks.report.inputs.held_samples import read_held
from vlm_confidence_tasks.report.inputs.problems import Problems, ReportError
from vlm_confidence_tasks.report.inputs.runs import TaskRun
from vlm_confidence_tasks.report.inputs.samples import SamplesError, documents
from vlm_confidence_tasks.report.leaderboard.tables import check_names
from vlm_confidence_tasks.report.smallest_effects import SCALE, smallest_effect

(_CLEAN,) = CLEAN
TOO_FEW, ONE_DECIDES = MENDED_BY_MORE = ("too few images", "one image decides")


@dataclass(frozen=True)
class Plan:
    """What the images of a task can show of one number.

    Attributes:
        task: The task.
        metric: The number: a metric, a perturbed one less the clean one, or B - A of two runs.
        value: The number.
        images: Number of images.
        documents: Number of documents.
        error: Its standard error over images.
        design_effect: Its variance over images over that of as many independent documents; None
            where all agree, or there are too few images.
        detectable: The smallest effect that such images can show; None where `why` says so.
        skewed: Whether it is skewed, so that the power is less on one side.
        asked: The effect that was asked for, in units of the number; None without a scale.
        images_needed: How many such images it takes; None where `why` says so.
        why: Why nothing can be planned; None if it can.
    """

    task: str
    metric: str
    value: float
    images: int
    documents: int
    error: float
    design_effect: float | None
    detectable: float | None
    skewed: bool
    asked: float | None
    images_needed: int | None
    why: str | None


def plan_images(
    paths: Sequence[Path],
    effect: float,
    problems: Problems,
    metrics: Sequence[str] = (),
    quiet: bool = True,
) -> list[Plan]:
    """Plan by one run, or by the paired differences B - A of two; bad input is a problem.

    Args:
        paths: One or two results files, or folders of one model's.
        effect: The effect to plan for.
        problems: What is wrong with the input is added to it.
        metrics: Which means and rates; by default the core ones that perturbation may change.
        quiet: Whether no progress is shown.

    Raises:
        ReportError: A metric is not known, or is no mean.
    """
    runs = [tasks_of(path, problems) for path in paths]
    shared = [task for task in runs[0] if all(task in others for others in runs)]
    if all(runs) and not shared:
        problems.add(paths[-1], f"no task in common with {paths[0]}: {', '.join(runs[-1])} here")
    plans: list[Plan] = []
    for task in tqdm(shared, desc="Tasks", disable=quiet):
        tables = _tables([found[task] for found in runs], problems)
        if tables:
            plans += _plans_of(task, tables, effect, metrics)
    return plans


def _tables(runs: Sequence[TaskRun], problems: Problems) -> list[Answers]:
    """Return the tables of the documents that all runs answered; none if they cannot be used."""
    try:
        read = [read_held(run) for run in runs]
    except SamplesError as error:
        problems.add_line(str(error))
        return []
    if len(read) > 1:
        agreed = agreement(*(Signature.of(one.file.samples, one.answers) for one in read))
        if agreed.is_copy:
            problems.add(runs[-1].samples, f"{COPY} ({agreed}): there is no difference to plan by")
            return []
    held = [documents(one.file.samples) for one in read]
    common = sorted(set.intersection(*map(set, held)))
    if not common:
        problems.add(runs[-1].samples, f"no document in common with {runs[0].samples}")
        return []
    images = sorted({samples[key].image_id for samples in held for key in common})
    return [Answers.of([samples[key] for key in common], images) for samples in held]


def _plans_of(
    task: str, tables: Sequence[Answers], effect: float, metrics: Sequence[str]
) -> Iterator[Plan]:
    """Yield the plans by one run, with what perturbation changes, or by B - A of two."""
    families = dict.fromkeys(name for table in tables for name in table.families)
    known = metrics_for(families, [found for table in tables for found in measured_in(table)])
    for name in _chosen(known, metrics):
        metric, asked = known[name], smallest_effect(name, known, tables[0], effect)
        shown = f"{name}, B - A" if len(tables) > 1 else name
        yield from _plan(task, shown, metric, [metric.view(table) for table in tables], asked)
        clean = _on_clean_images(metric, known)
        if clean is not None and len(tables) == 1 and name not in SCALE:
            views = [clean.view(tables[0]), metric.view(tables[0])]
            yield from _plan(task, f"{name} - {clean.name}", metric, views, asked)


def _chosen(known: Mapping[str, NamedMetric], wanted: Sequence[str]) -> list[str]:
    """Return the metrics to plan by."""
    if not wanted:
        return [
            name
            for name, metric in known.items()
            if metric.is_core and _is_mean(metric) and metric.selection.side != _CLEAN
        ]
    names = current_names(wanted, known)
    check_names(names, known)
    for name in names:
        if not _is_mean(known[name]):
            raise ReportError(f"{name} is no mean or rate: only of these the power is known")
    return names


def _on_clean_images(metric: NamedMetric, known: Mapping[str, NamedMetric]) -> NamedMetric | None:
    """Return the same metric of clean images; None if it is that, or has none."""
    selection = replace(metric.selection, side=_CLEAN)
    same = (m for m in known.values() if m.record is metric.record and m.selection == selection)
    return next((clean for clean in same if clean is not metric), None)


def _is_mean(metric: NamedMetric) -> bool:
    return isinstance(metric.statistic, Mean)


def _plan(
    task: str, name: str, metric: NamedMetric, views: Sequence[Answers], asked: float | None
) -> Iterator[Plan]:
    """Yield the plan by a mean or a difference, unless the runs do not hold it."""
    mean = metric.statistic
    rows = mean.rows(*views) if isinstance(mean, Mean) else None
    if rows is None or not isinstance(mean, Mean):
        return
    first, *others = views
    shown = mean.difference(first, others[0]) if others else mean.interval(first)
    numbers, images = mean.numbers(rows), np.unique(rows.image).size
    moved = moves(rows.image, numbers, rows.second)
    variance = variance_of(moved)
    independent = variance_of(moves(rows.document, numbers, rows.second))
    found = detectable(shown, images, error=math.sqrt(variance))
    reasons = {
        TOO_FEW: rows.too_few,
        "all images agree": shown is None,
        ONE_DECIDES: found is None,
        "no clean value to take a share of": asked is None,
    }
    why = next((reason for reason, so in reasons.items() if so), None)
    yield Plan(
        task=task,
        metric=name,
        value=_change([float(numbers[side].mean()) for side in sides(rows.second, numbers.size)]),
        images=images,
        documents=np.unique(rows.document).size,
        error=math.sqrt(variance),
        design_effect=variance / independent if independent and not rows.too_few else None,
        detectable=None if found is None else found.effect,
        asked=asked,
        skewed=is_skewed(moved),
        images_needed=None if found is None or asked is None else found.images_for(asked),
        why=why,
    )


def _change(values: Sequence[float]) -> float:
    return values[-1] - (values[0] if len(values) > 1 else 0.0)


def to_text(plans: Sequence[Plan], effect: float) -> str:
    """Write plans for a terminal: a table for each task, and below it what to do."""
    blocks = [
        "\n".join(_block(task, list(group), effect))
        for task, group in groupby(plans, key=lambda plan: plan.task)
    ]
    return "\n\n".join([*blocks, "\n".join(explanations(effect))])


def _block(task: str, plans: Sequence[Plan], effect: float) -> Iterator[str]:
    images, held = (max(getattr(plan, of) for plan in plans) for of in ("images", "documents"))
    yield f"{task}: {held:,} questions on {images:,} images"
    heads = ("metric", "value", "std. error", "design effect", "detectable", f"takes ({effect:g})")
    rows = [heads, *map(_cells, plans)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *right])
    yield from advice(plans, effect)


def _cells(plan: Plan) -> tuple[str, ...]:
    design = "-" if plan.design_effect is None else digits(plan.design_effect, 1)
    mark = "~" * plan.skewed
    shown = "-" if plan.detectable is None else f"{mark}{digits(plan.detectable, PLACES)}"
    needed = (
        plan.why
        if plan.images_needed is None
        else f"{images_told(plan.images_needed, plan.images)} images"
    )
    value, error = digits(plan.value, PLACES), digits(plan.error, PLACES)
    return (plan.metric, value, error, design, shown, needed or "-")


def advice(plans: Sequence[Plan], effect: float) -> Iterator[str]:
    """Say how many images to take for all numbers of a table, and why some have no plan."""
    scaled = [plan.metric.partition(",")[0] in SCALE for plan in plans]
    for is_scaled, what in ((False, f"{effect:g}"), (True, f"{effect:g} of the clean entropy")):
        needed = {
            plan.images_needed: plan
            for plan, own in zip(plans, scaled, strict=True)
            if plan.images_needed is not None and own == is_scaled
        }
        if needed:
            plan = needed[max(needed)]
            enough = " (these are enough)" * (max(needed) <= plan.images)
            told = images_told(max(needed), plan.images)
            yield f"To show {what}, take {told} images{enough}: {plan.metric} needs the most."
    without: dict[str, list[str]] = {}
    for plan in plans:
        if plan.why:
            without.setdefault(plan.why, []).append(plan.metric)
    for why, metrics in without.items():
        more = "; run more images first" * (why in MENDED_BY_MORE)
        yield f"No plan by {', '.join(metrics)}: {why}{more}."
    images = max(plan.images for plan in plans)
    if images < FEWEST_MEASURED:
        yield (
            f"Power was not measured for plans by under {FEWEST_MEASURED} images; "
            f"these are {images}."
        )


def explanations(effect: float) -> Iterator[str]:
    """Say how to read the tables."""
    yield (
        "Detectable: how far the truth must lie from 0 (a change), or from a value that is fixed "
        "beforehand, such as a published one (all others), so that the "
        f"{LEVEL:.0%} interval excludes it in {POWER:.0%} of samples of as many such images."
    )
    yield (
        f"Takes ({effect:g}): the images for which that is {effect:g}, of entropies {effect:g} of "
        "the clean entropy, with as many questions on each."
    )
    yield "Design effect: variance over images / that of as many independent questions."
    yield (
        "~: skewed numbers, rare events or none: the power is less on one side and more on the "
        "other, by up to 20 points (docs/studies/power.md)."
    )


def to_record(plans: Sequence[Plan], effect: float) -> dict[str, Any]:
    """Return plans as JSON types."""
    return {
        **{"effect": effect, "level": LEVEL, "power": POWER},
        "notes": list(explanations(effect)),
        "plans": [vars(plan) for plan in plans],
    }
