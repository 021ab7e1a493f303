"""Figures over tasks of one benchmark: entropy, accuracy and confidence against noise."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os.path import commonprefix
from typing import Any

from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel, Series
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard, Record

Styles = Mapping[str, int]
EPSILON = "strength of the noise, ε"
# What must agree for tasks to share a figure: all of a setting but the perturbations.
SHARED = ("max_side", "limit", "offset", "data", "documents", "generation", "version")


def sweeps(leaderboard: Leaderboard, styles: Styles) -> Iterator[Figure]:
    """Draw entropy, accuracy and confidence against the noise's strength."""
    noisy = [entry for entry in leaderboard["entries"] if entry["epsilon"] is not None]
    for name, entries in groups(leaderboard, noisy, "noise"):
        if len({entry["epsilon"] for entry in entries}) < 2:
            continue
        change = _panel(entries, styles, "entropy_delta", None, "H(perturbed) − H(clean), nats")
        title = f"{name}: change of entropy against the noise's strength"
        yield from figure(f"entropy_{name}", title, [change])
        measures = (("accuracy", "accuracy"), ("confidence", "mean confidence"))
        panels = [_panel(entries, styles, m, f"{m}_clean", label) for m, label in measures]
        # Captions have none: they are neither right nor sure of a label.
        title = f"{name}: accuracy and mean confidence against the noise's strength"
        yield from figure(f"accuracy_{name}", title, panels)
        measures = (
            ("hit_90", "share with the right label in the set"),
            ("set_size_90", "labels in the set"),
        )
        share, size = (_panel(entries, styles, m, f"{m}_clean", label) for m, label in measures)
        title = f"{name}: sets that promise 90% on clean images, against the noise's strength"
        # A set holds more than one label.
        yield from figure(f"coverage_{name}", title, [share, replace(size, unit_y=False)])


def figure(name: str, title: str, panels: Sequence[Panel]) -> Iterator[Figure]:
    """Yield a figure of the panels that show anything, if one does."""
    if filled := tuple(panel for panel in panels if panel.series):
        yield Figure(name, title, filled)


def by_column(leaderboard: Leaderboard) -> Iterator[tuple[str, list[Record]]]:
    """Yield each column's name and entries."""
    for column in leaderboard["columns"]:
        id_ = column["id"]
        yield id_, [entry for entry in leaderboard["entries"] if entry["column"] == id_]


def groups(
    leaderboard: Leaderboard, entries: Sequence[Record], *apart: str
) -> list[tuple[str, list[Record]]]:
    """Group entries that put the same questions in the same way, and name each group.

    Entries of a group agree in the settings of their columns and in the keys `apart`. Its name is
    what the names of its tasks begin with, numbered where two groups share it.
    """
    columns = {column["id"]: column for column in leaderboard["columns"]}
    grouped: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for entry in entries:
        own = (entry[key] for key in ("benchmark", *apart))
        setting = (columns[entry["column"]][key] for key in SHARED)
        grouped[tuple((*own, *setting))].append(entry)
    seen: Counter[str] = Counter()
    named = []
    for same in grouped.values():
        stem = commonprefix([entry["task"] for entry in same]).rsplit("_", 1)[0]
        stem = stem or str(same[0]["benchmark"])
        seen[stem] += 1
        named.append((stem if seen[stem] == 1 else f"{stem} [{seen[stem]}]", same))
    return named


def _panel(
    entries: Sequence[Record], styles: Styles, metric: str, clean: str | None, label: str
) -> Panel:
    series = []
    for model, style in styles.items():
        mine = sorted((e for e in entries if e["model"] == model), key=lambda e: e["epsilon"])
        points = [(e["epsilon"], e["metrics"][metric]) for e in mine if metric in e["metrics"]]
        if not points:
            continue
        if clean is None:
            points.insert(0, (0.0, {"value": 0.0, "low": None, "high": None}))
        elif clean in mine[0]["metrics"]:
            points.insert(0, (0.0, mine[0]["metrics"][clean]))
        series.append(with_intervals(model, style, points))
    return Panel("line", "", EPSILON, label, tuple(series), unit_y=clean is not None)


def with_intervals(
    label: str, style: int, points: Sequence[tuple[float, Mapping[str, Any]]]
) -> Series:
    """Make a series of numbers of the leaderboard, each at its x."""
    x, numbers = [x for x, _ in points], [number for _, number in points]
    has_ends = any(number["low"] is not None for number in numbers)
    low, high = ([n[end] for n in numbers] if has_ends else [] for end in ("low", "high"))
    return Series(label, x, [number["value"] for number in numbers], low, high, style)
