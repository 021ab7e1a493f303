"""Drawing: figures' data -> PNG and SVG.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; a model also
has its own mark and dashes, so that figures work in grey.
"""

import io
import math
import textwrap
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from vlm_confidence_tasks.report.figures.figure_data import Figure, Kind, Panel, Series

COLOURS = ("#0072B2", "#E69F00", "#000000", "#D55E00", "#56B4E9", "#009E73", "#CC79A7")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo", "+++")
# Curves of more points than this get no marks.
MOST_MARKS = 30
RC: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "hatch.linewidth": 0.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "vlm-confidence",
    # Names of models and tasks are shown as they are, dollar signs too.
    "text.parse_math": False,
}


def draw(figure: Figure) -> Canvas:
    """Draw a figure on a canvas of its own."""
    with matplotlib.rc_context(RC):
        width = max(_width(panel) for panel in figure.panels) * len(figure.panels)
        title = textwrap.fill(figure.title, int(width * 12))
        height = 3.4 + 0.17 * (title.count("\n") + _legend_lines(figure.panels[0]))
        canvas = Canvas(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(canvas)
        grid = canvas.subplots(1, len(figure.panels), squeeze=False)
        for axes, panel in zip(grid[0], figure.panels, strict=True):
            _draw_panel(axes, panel)
        canvas.suptitle(title, fontsize=10)
        _legend(canvas, grid[0][0])
        # The words are laid out with these settings, not with those of the caller.
        canvas.canvas.draw()
    return canvas


def to_bytes(canvas: Canvas, ending: str) -> bytes:
    """Return a drawn figure as the bytes of a "png" or "svg" file, the same every time."""
    file = io.BytesIO()
    metadata = {"Date": None} if ending == "svg" else {"Software": None}
    with matplotlib.rc_context(RC):
        canvas.savefig(file, format=ending, dpi=160, bbox_inches="tight", metadata=metadata)
    return file.getvalue()


def _width(panel: Panel) -> float:
    bars = len(panel.ticks) * max(1, len(panel.series)) * 0.22
    return max(4.4, 1.0 + bars)


def _legend_lines(panel: Panel) -> int:
    """Return how many lines of text the legend takes at most; tick names count as some."""
    labels = [series.label for series in panel.series if series.label]
    ticks = max(map(len, panel.ticks), default=0) // 3
    return sum(_wrapped(label).count("\n") + 1 for label in labels) + ticks


def _wrapped(label: str) -> str:
    return textwrap.fill(label, 48)


def _legend(canvas: Canvas, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        wrapped = [_wrapped(label) for label in labels]
        columns = 1 if max(map(len, labels)) > 22 else min(3, len(labels))
        canvas.legend(handles, wrapped, loc="outside lower center", ncols=columns, frameon=False)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    if panel.diagonal:
        axes.axline((0, 0), slope=1, color="#888888", linewidth=0.8, linestyle=(0, (4, 3)))
    _KINDS[panel.kind](axes, panel)
    axes.set_title(panel.title, fontsize=9)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    if panel.unit_x:
        axes.set_xlim(-0.02, 1.02)
    if panel.unit_y:
        axes.set_ylim(-0.02, 1.02)
    if panel.text:
        axes.text(0.04, 0.96, panel.text, transform=axes.transAxes, va="top", weight="bold")


def _errors(series: Series) -> list[list[float]] | None:
    """Return the lengths of the whiskers, NaN for none; an interval need not hold its estimate."""
    if not series.low:
        return None
    below = [_length(low, y) for y, low in zip(series.y, series.low, strict=True)]
    above = [_length(y, high) for y, high in zip(series.y, series.high, strict=True)]
    return [below, above]


def _length(start: float | None, end: float | None) -> float:
    return math.nan if start is None or end is None else max(0.0, end - start)


def _lines(axes: Axes, panel: Panel) -> None:
    for series in panel.series:
        few = len(series.x) <= MOST_MARKS
        axes.errorbar(
            series.x,
            series.y,
            yerr=_errors(series),
            label=series.label or None,
            color=COLOURS[series.style],
            linestyle=DASHES[series.style],
            marker=MARKS[series.style] if few else "",
            markersize=5 if len(series.x) > 1 else 8,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linewidth=1.4,
            elinewidth=0.9,
            capsize=2.5,
        )


def _bars(axes: Axes, panel: Panel) -> None:
    width = 0.8 / max(1, len(panel.series))
    for n, series in enumerate(panel.series):
        shift = (n - (len(panel.series) - 1) / 2) * width
        axes.bar(
            [x + shift for x in series.x],
            series.y,
            width,
            yerr=_errors(series),
            label=series.label or None,
            facecolor=COLOURS[series.style] if series.style != 2 else "#666666",
            edgecolor="white",
            hatch=HATCHES[series.style],
            capsize=2,
            error_kw={"linewidth": 0.8},
        )
    axes.set_xticks(range(len(panel.ticks)), panel.ticks, rotation=40, ha="right")


def _reliability(axes: Axes, panel: Panel) -> None:
    for series in panel.series:
        if not series.counts:
            axes.plot(series.x, series.y, label=series.label, color=COLOURS[series.style])
            continue
        axes.errorbar(
            series.x,
            series.y,
            yerr=_errors(series),
            color=COLOURS[series.style],
            marker=MARKS[series.style],
            linewidth=1.2,
            capsize=2.5,
        )
        shares = axes.twinx()
        shares.spines["right"].set_visible(True)
        shares.bar(series.x, series.counts, 0.03, color="#bbbbbb", zorder=0)
        shares.set_ylim(0, 4 * max(series.counts, default=1))
        shares.set_ylabel("answers (grey bars)", color="#555555")
        shares.set_yticks([0, max(series.counts, default=1)])
        shares.grid(False)
        axes.set_zorder(shares.get_zorder() + 1)
        axes.patch.set_visible(False)


def _steps(axes: Axes, panel: Panel) -> None:
    for series in panel.series:
        axes.stairs(
            series.y,
            series.x,
            label=series.label or None,
            color=COLOURS[series.style],
            linestyle=DASHES[series.style],
            fill=False,
            linewidth=1.6,
        )


def _points(axes: Axes, panel: Panel) -> None:
    _lines(axes, panel)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)


_KINDS: dict[Kind, Callable[[Axes, Panel], None]] = {
    "line": _lines,
    "bars": _bars,
    "reliability": _reliability,
    "steps": _steps,
    "points": _points,
}
