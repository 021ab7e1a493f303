"""Figures over several tasks: noise sweeps, flip rates by family, drift."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel, Series
from vlm_confidence_tasks.report.leaderboard.leaderboard import Board

Styles = Mapping[str, int]
EPSILON = "strength of the noise, ε"
# What must agree for tasks to share a figure: all of a setting but the perturbations.
SHARED = ("max_side", "limit", "offset", "data", "documents", "generation", "version")


def sweeps(board: Board, styles: Styles) -> Iterator[Figure]:
    """Draw entropy, accuracy and confidence against the noise's strength."""
    noisy = [entry for entry in board["entries"] if entry["epsilon"] is not None]
    for name, entries in _groups(board, noisy):
        if len({entry["epsilon"] for entry in entries}) < 2:
            continue
        change = _panel(entries, styles, "entropy_delta", None, "H(perturbed) − H(clean), nats")
        if change.series:
            title = f"{name}: change of entropy against the noise's strength"
            yield Figure(f"entropy_{name}", title, (change,))
        measures = (("accuracy", "accuracy"), ("confidence", "mean confidence"))
        panels = [_panel(entries, styles, m, f"{m}_clean", label) for m, label in measures]
        # Captions are neither right nor sure of a label.
        if drawn := tuple(panel for panel in panels if panel.series):
            title = f"{name}: accuracy and mean confidence against the noise's strength"
            yield Figure(f"accuracy_{name}", title, drawn)


def _groups(board: Board, entries: Sequence[Board]) -> list[tuple[str, list[Board]]]:
    """Group entries of tasks that ask the same questions in the same way."""
    columns = {column["id"]: column for column in board["columns"]}
    groups: dict[tuple[Any, ...], list[Board]] = defaultdict(list)
    for entry in entries:
        column = columns[entry["column"]]
        stem = column["task"].rsplit("_", 1)[0]
        groups[(stem, *(column[key] for key in SHARED))].append(entry)
    seen: Counter[str] = Counter()
    named = []
    for (stem, *_), held in groups.items():
        seen[stem] += 1
        named.append((stem if seen[stem] == 1 else f"{stem} [{seen[stem]}]", held))
    return named


def _panel(
    entries: Sequence[Board], styles: Styles, metric: str, clean: str | None, label: str
) -> Panel:
    series = []
    for model, style in styles.items():
        mine = sorted((e for e in entries if e["model"] == model), key=lambda e: e["epsilon"])
        points = [(e["epsilon"], e["metrics"][metric]) for e in mine if metric in e["metrics"]]
        if not points:
            continue
        if clean is None:
            points.insert(0, (0.0, {"value": 0.0, "low": 0.0, "high": 0.0}))
        elif clean in mine[0]["metrics"]:
            points.insert(0, (0.0, mine[0]["metrics"][clean]))
        series.append(_series(model, style, points))
    return Panel("line", "", EPSILON, label, tuple(series), unit_y=clean is not None)


def _series(label: str, style: int, points: Sequence[tuple[float, Mapping[str, Any]]]) -> Series:
    x, numbers = [x for x, _ in points], [number for _, number in points]
    low, high = _ends(numbers)
    return Series(label, x, [number["value"] for number in numbers], low, high, style)


def _ends(numbers: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Return the ends of intervals; a number without one has both where it is itself."""
    if all(number["low"] is None for number in numbers):
        return [], []
    ends = [
        [number["value"] if number[key] is None else number[key] for number in numbers]
        for key in ("low", "high")
    ]
    return ends[0], ends[1]


def flip_rates(board: Board, styles: Styles) -> Iterator[Figure]:
    """Draw flipped instances and flipped documents by family of perturbations."""
    for name, entries in _groups(board, board["entries"]):
        held = list(dict.fromkeys((e["column"], f) for e in entries for f in _families(e)))
        held.sort(key=lambda pair: (perturbations.families().index(pair[1]), pair[0]))
        if not held:
            continue
        rates = (("ifr", "flipped instances (IFR)"), ("iv", "flipped documents (IV)"))
        panels = [_bars(entries, held, styles, rate, label) for rate, label in rates]
        yield Figure(f"flips_{name}", f"{name}: flip rates by perturbation", tuple(panels))


def _families(entry: Board) -> list[str]:
    return [family for family in perturbations.families() if f"ifr_{family}" in entry["metrics"]]


def _bars(
    entries: Sequence[Board],
    held: Sequence[tuple[str, str]],
    styles: Styles,
    rate: str,
    label: str,
) -> Panel:
    often = Counter(family for _, family in held)
    ticks = [family if often[family] == 1 else column for column, family in held]
    series = []
    for model, style in styles.items():
        mine = {entry["column"]: entry["metrics"] for entry in entries if entry["model"] == model}
        points = [
            (float(position), mine[column][f"{rate}_{family}"])
            for position, (column, family) in enumerate(held)
            if f"{rate}_{family}" in mine.get(column, {})
        ]
        if points:
            series.append(_series(model, style, points))
    return Panel("bars", label, "", "share", tuple(series), ticks=tuple(ticks))


def drift(board: Board, styles: Styles) -> Iterator[Figure]:
    """Draw drift under perturbation against the drift between different images."""
    for column in board["columns"]:
        entries = [entry for entry in board["entries"] if entry["column"] == column["id"]]
        panels = [_drift_panel(entries, styles, name) for name in ("context", "answer", "vision")]
        if drawn := tuple(panel for panel in panels if panel.series):
            title = f"{column['id']}: drift of the representation against control drift"
            yield Figure(f"drift_{column['id']}", title, drawn)


def _drift_panel(entries: Sequence[Board], styles: Styles, channel: str) -> Panel:
    series = []
    for entry in entries:
        moved = entry["metrics"].get(f"drift_{channel}")
        ratio = entry["metrics"].get(f"drift_ratio_{channel}")
        if moved and ratio and ratio["value"]:
            point = (moved["value"] / ratio["value"], moved)
            series.append(_series(entry["model"], styles[entry["model"]], [point]))
    x_label, y_label = "drift to other images (control)", "drift under perturbation"
    return Panel("points", channel, x_label, y_label, tuple(series), diagonal=True)
