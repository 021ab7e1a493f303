"""A few lines about a run, one per task: the last thing on the screen with our own command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from vlm_confidence_tasks.metrics.inference.clusters import one_image_decides

# The columns, metrics by name. All but the rate of flips are of two sides.
SHOWN = ("accuracy", "confidence", "ece", "ifr", "entropy")
_METRICS = metrics_for(())
_HEAD = "Clean -> perturbed; * where the 95% interval of that change alone, over images, excludes 0"
_UNTESTED = "?: no test of that change: too few images, or one decides it, or all changed alike"
_SIZES = "doc/img: documents and images; invalid: share of perturbed answers that name no label"
_FOOT = "ece: calibration error; ifr: share of answers that flip; entropy in nats"
# Above this share of answers that name no label, the numbers of the others are no picture of all.
MOST_INVALID = 0.1
# What is said of some answers, and which these are.
_NOTES: dict[str, Callable[[Answers], Floats]] = {
    "have bounds too far apart for a confidence: calibration is of the others "
    "(confidence_open)": confidence_open,
    "are refusals (refusal_rate)": lambda answers: answers.refused,
    "were cut off at the limit of tokens (truncated_rate)": truncated,
    "were withheld by a content filter, whole or in part (filtered_rate)": filtered,
    "came from another model than was asked (other_model_rate)": other_model,
}
# Of a line, and of cells.
_LINE, _CHANGE, _RATE = 100, 13, 5


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
        excludes_zero: Whether the 95% interval of perturbed - clean does; None where there is
            none, or one image decides it.
    """

    clean: float | None
    perturbed: float
    excludes_zero: bool | None = None

    @property
    def text(self) -> str:
        """Both numbers and the mark: * for a change, ? for one that was not tested."""
        if self.clean is None:
            return f"{self.perturbed:.3f}"
        before, after = f"{self.clean:.3f}", f"{self.perturbed:.3f}"
        # A change that cannot be seen in the line would be marked for no reason that it shows.
        mark = "" if before == after else {True: "*", False: "", None: "?"}[self.excludes_zero]
        return f"{before}->{after}{mark}"


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
    changes = {task: [change(name, answers) for name in SHOWN] for task, answers in tasks.items()}
    rows = {
        task: [*_sizes(tasks[task]), *("-" if one is None else one.text for one in found)]
        for task, found in changes.items()
        if any(found)
    }
    said = [*_warnings(tasks), *notes(tasks.values())]
    if not rows:
        return "\n".join(said)
    table = _table([("task", ["doc/img", "invalid", *SHOWN]), *rows.items()])
    untested = (
        [_UNTESTED] if any(cell.endswith("?") for row in rows.values() for cell in row) else []
    )
    return "\n".join([_HEAD, *table, *untested, _SIZES, _FOOT, *said])


def _sizes(answers: Answers) -> tuple[str, str]:
    """Return how many documents and images there are, and how many answers name no label."""
    documents = answers.documents
    invalid = _METRICS["invalid_rate"].value(answers)
    size = f"{len(documents)}/{np.unique(documents.image).size}"
    return size, "-" if invalid is None else f"{invalid:.3f}"


def _warnings(tasks: Mapping[str, Answers]) -> Iterator[str]:
    for task, answers in tasks.items():
        for name, side in (("invalid_rate_clean", "clean"), ("invalid_rate", "perturbed")):
            share = _METRICS[name].value(answers)
            if share is not None and share > MOST_INVALID:
                yield (
                    f"warning: {task}: {share:.0%} of answers to {side} images name no label "
                    f"({name}): confidence and ece are of the others"
                )


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
    tested = found is not None and not one_image_decides(found.influence)
    return Change(clean, perturbed, found.excludes_zero if found and tested else None)


def _table(rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Lay out rows below each other: a name that is too long stands on a line of its own."""
    least = [0, 0, *(_CHANGE if clean_side(name) else _RATE for name in SHOWN)]
    columns = zip(least, *(cells for _, cells in rows), strict=True)
    widths = [max(space, *map(len, cells)) for space, *cells in columns]
    room = _LINE - sum(widths) - 2 * len(widths)
    width = max((len(name) for name, _ in rows if len(name) <= room), default=0)
    lines = []
    for task, cells in rows:
        own, name = ([], task) if len(task) <= width else ([task], "")
        texts = [f"{cell:<{space}}" for cell, space in zip(cells, widths, strict=True)]
        lines += [*own, "  ".join([f"{name:<{width}}", *texts]).rstrip()]
    return lines
