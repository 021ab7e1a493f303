"""A few lines about a run, one per task: the last thing on the screen with our own command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from vlm_confidence_tasks.metrics import Answers, metrics_for
from vlm_confidence_tasks.metrics.catalogue.answers import (
    confidence_open,
    filtered,
    other_model,
    truncated,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats

# The columns, metrics by name. All but the rate of flips are of two sides.
SHOWN = ("accuracy", "confidence", "ece", "ifr", "entropy")
_METRICS = metrics_for(())
_HEAD = "Clean -> perturbed; * where the 95% interval of that change alone, over images, excludes 0"
_FOOT = "ece: calibration error; ifr: share of answers that flip; entropy in nats"
# What is said of some answers, and which these are.
_NOTES: dict[str, Callable[[Answers], Floats]] = {
    "have bounds too far apart for a confidence: calibration is of the others "
    "(confidence_open)": confidence_open,
    "are refusals (refusal_rate)": lambda answers: answers.refused,
    "were cut off at the limit of tokens (truncated_rate)": truncated,
    "were withheld by a content filter, whole or in part (filtered_rate)": filtered,
    "came from another model than was asked (other_model_rate)": other_model,
}
# Of names and of cells: a line has 100 columns.
_NAME, _CHANGE, _RATE = 25, 15, 5


def show(lines: str) -> None:
    """Print the lines of a run between empty ones."""
    print(f"\n{lines}\n")


# Where the lines of a run go. Our command keeps them until the harness has printed its tables.
write: ContextVar[Callable[[str], None]] = ContextVar("write", default=show)


@dataclass(frozen=True)
class Change:
    """What a perturbation did to a metric.

    Attributes:
        clean: The number on clean images; None for a metric without this side.
        perturbed: The number on perturbed images.
        excludes_zero: Whether the 95% interval of perturbed - clean does.
    """

    clean: float | None
    perturbed: float
    excludes_zero: bool = False


def clean_side(name: str) -> str | None:
    """Return the metric that is the same on clean images, None if there is none."""
    return f"{name}_clean" if f"{name}_clean" in _METRICS else None


def summary(tasks: Mapping[str, Answers]) -> str:
    """Say in one line per task what the perturbations did.

    Args:
        tasks: The answers of each task.

    Returns:
        Lines of at most 100 columns, longer names of tasks apart; "" if no task has any number.
    """
    rows = {task: [change(name, answers) for name in SHOWN] for task, answers in tasks.items()}
    rows = {task: found for task, found in rows.items() if any(found)}
    said = notes(tasks.values())
    if not rows:
        return "\n".join(said)
    width = min(max(map(len, ("task", *rows))), _NAME)
    lines = [_HEAD, *_line(width, "task", SHOWN)]
    for task, found in rows.items():
        lines += _line(width, task, [_cell(one) for one in found])
    return "\n".join([*lines, _FOOT, *said])


def notes(tables: Iterable[Answers]) -> list[str]:
    """Say in one line per kind what serving engines said of some answers.

    Args:
        tables: The answers of each task.

    Returns:
        No line of what was said of no answer.
    """
    held = list(tables)
    found = []
    for said, take in _NOTES.items():
        numbers = np.concatenate([np.empty(0), *map(take, held)])
        count = int(np.nansum(numbers))
        if count:
            found.append(f"{count} of {np.count_nonzero(~np.isnan(numbers))} answers {said}")
    return found


def change(name: str, answers: Answers) -> Change | None:
    """Return what happened to a metric; None if it has no number on a side that it has."""
    metric, side = _METRICS[name], clean_side(name)
    perturbed = metric.value(answers)
    if perturbed is None or side is None:
        return None if perturbed is None else Change(None, perturbed)
    clean = _METRICS[side].value(answers)
    if clean is None:
        return None
    views = _METRICS[side].view(answers), metric.view(answers)
    found = metric.statistic.difference(*views)
    return Change(clean, perturbed, found is not None and found.excludes_zero)


def _line(width: int, task: str, cells: Sequence[str]) -> list[str]:
    """Lay out a row: a name that is too long stands on a line of its own."""
    widths = [_CHANGE if clean_side(name) else _RATE for name in SHOWN]
    texts = [f"{cell:<{space}}" for cell, space in zip(cells, widths, strict=True)]
    own, name = ([], task) if len(task) <= width else ([task], "")
    return [*own, "  ".join([f"{name:<{width}}", *texts]).rstrip()]


def _cell(found: Change | None) -> str:
    if found is None:
        return "-"
    if found.clean is None:
        return f"{found.perturbed:.3f}"
    before, after = f"{found.clean:.3f}", f"{found.perturbed:.3f}"
    # A change that cannot be seen in the line would be marked for no reason that it shows.
    mark = "*" if found.excludes_zero and before != after else ""
    return f"{before} -> {after}{mark}"
