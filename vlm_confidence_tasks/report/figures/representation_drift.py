"""Figures of one task: drift of representations under perturbation."""

from collections.abc import Iterator, Sequence

from vlm_confidence_tasks.metrics import CHANNELS
from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel
from vlm_confidence_tasks.report.figures.sweeps import Styles, by_column, figure, with_intervals
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard, Record


def drift(leaderboard: Leaderboard, styles: Styles) -> Iterator[Figure]:
    """Draw drift under perturbation against the drift between different images."""
    for column, entries in by_column(leaderboard):
        panels = [_drift_panel(entries, styles, name) for name in CHANNELS]
        title = f"{column}: drift of the representation against control drift"
        yield from figure(f"drift_{column}", title, panels)


def _drift_panel(entries: Sequence[Record], styles: Styles, channel: str) -> Panel:
    series = []
    for entry in entries:
        moved = entry["metrics"].get(f"drift_{channel}")
        ratio = entry["metrics"].get(f"drift_ratio_{channel}")
        if moved and ratio and ratio["value"]:
            point = (moved["value"] / ratio["value"], moved)
            series.append(with_intervals(entry["model"], styles[entry["model"]], [point]))
    x_label, y_label = "drift to other images (control)", "drift under perturbation"
    return Panel("points", channel, x_label, y_label, tuple(series), diagonal=True)
