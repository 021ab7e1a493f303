"""A few lines about a run, which come before the harness's table of all metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_confidence_tasks.metrics import Columns, Interval, Metric, interval, metrics_for
from vlm_confidence_tasks.metrics.reducers import Values

# The columns, metrics by name. All but the rate of flips are of two sides.
SHOWN = ("accuracy", "confidence", "ece", "ifr", "entropy")
_METRICS = metrics_for(())
_HEAD = "Clean -> perturbed; * where the 95% interval of that change alone, over images, excludes 0"
_FOOT = (
    "ece: calibration error; ifr: share of answers that flip; entropy in nats; "
    "no * if decimals agree"
)
# Of names and of cells: a line has 100 columns.
_NAME, _CHANGE, _RATE = 25, 15, 5


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


# Metrics of which `summary` takes the values.
NEEDED = frozenset(SHOWN) | {side for side in map(clean_side, SHOWN) if side is not None}


def summary(tasks: Mapping[str, Mapping[str, Values]]) -> str:
    """Say in a line a task what the perturbations did.

    Args:
        tasks: By task, by metric (of `NEEDED`), what the metric extracted from each sample.

    Returns:
        Lines of at most 100 columns, longer names of tasks apart; "" if no task has any number.
    """
    rows = {task: [change(name, values) for name in SHOWN] for task, values in tasks.items()}
    rows = {task: found for task, found in rows.items() if any(found)}
    if not rows:
        return ""
    width = min(max(map(len, ("task", *rows))), _NAME)
    lines = [_HEAD, *_line(width, "task", SHOWN)]
    for task, found in rows.items():
        lines += _line(width, task, [_cell(one) for one in found])
    return "\n".join([*lines, _FOOT])


def change(name: str, values: Mapping[str, Values]) -> Change | None:
    """Return what happened to a metric; None if it has no number on a side that it has."""
    metric, side = _METRICS[name], clean_side(name)
    perturbed = metric.reduce(values.get(name, []))
    if perturbed is None or side is None:
        return None if perturbed is None else Change(None, perturbed)
    clean = metric.reduce(values.get(side, []))
    if clean is None:
        return None
    found = change_interval(metric, values[side], values[name])
    return Change(clean, perturbed, found is not None and not found.low <= 0 <= found.high)


def change_interval(metric: Metric, clean: Values, perturbed: Values) -> Interval | None:
    """Return the 95% interval of perturbed - clean, paired over images.

    Args:
        metric: The metric of either side.
        clean: What it extracted from each sample on clean images, with "image_id".
        perturbed: The same on perturbed images.
    """
    both = [*clean, *perturbed]
    # Numbers, since names would be sorted anew wherever images are counted.
    order = {name: n for n, name in enumerate(sorted({value["image_id"] for value in both}))}
    images = [order[value["image_id"]] for value in both]
    sides = [False] * len(clean) + [True] * len(perturbed)
    return interval(metric, Columns(both, images, sides))


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
