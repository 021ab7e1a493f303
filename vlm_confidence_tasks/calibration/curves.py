"""Loss curves as CSV and PNG."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from vlm_confidence_tasks.report.figures.drawing import draw, to_bytes
from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel, Series

COLUMNS = ("stage", "step", "loss", "learning_rate")
Losses = Sequence[tuple[int, float, float]]


def write_curves(curves: Mapping[str, Losses], output: Path) -> None:
    """Write `loss.csv` and `loss.png` of each stage's (step, loss, learning rate) into a folder."""
    with (output / "loss.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for stage, losses in curves.items():
            writer.writerows((stage, *row) for row in losses)
    (output / "loss.png").write_bytes(to_bytes(draw(_figure(curves)), "png"))


def _figure(curves: Mapping[str, Losses]) -> Figure:
    panels = [
        Panel(
            "line",
            stage,
            "step",
            "loss (nats)",
            (Series("", [row[0] for row in losses], [row[1] for row in losses]),),
        )
        for stage, losses in curves.items()
    ]
    return Figure("loss", "Training loss", tuple(panels))
