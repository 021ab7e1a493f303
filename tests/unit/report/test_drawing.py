"""Drawing: the figure's data end up on the axes, and nothing is cut off."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vlm_confidence_tasks.report.figures.drawing import (
    COLOURS,
    DASHES,
    HATCHES,
    MARKS,
    draw,
    to_bytes,
)
from vlm_confidence_tasks.report.figures.figure_data import MOST_MODELS, Figure, Panel, Series

LONG = "org/" + "a-very-long-model-name-" * 4 + "$5 and $6"
LINES = tuple(
    Series(f"{LONG}{n}", [0, 0.5, 1], [0.1 * n, 0.2, 0.3], [0, 0.1, 0.2], [0.5, 0.4, 0.6], style=n)
    for n in range(MOST_MODELS)
)
PANELS = {
    "line": Panel("line", "title", "x", "y", LINES, diagonal=True, unit_x=True, unit_y=True),
    "bars": Panel(
        "bars",
        "",
        "",
        "share",
        (Series("a", [0, 1], [0.2, 0.4], [0.1, 0.3], [0.3, 0.5]), Series("b", [0], [0.3], style=2)),
        ticks=("textoverlay_random", "a_much_longer_column_name_eps0.3"),
    ),
    "reliability": Panel(
        "reliability",
        "clean",
        "mean confidence of the bin",
        "accuracy",
        (
            Series("", [0.5, 0.9], [0.4, 1.0], [0.2, 0.8], [0.6, 1.0], counts=[3, 40]),
            Series("curve", [0.5, 0.7, 0.9], [0.4, 0.5, 1.0], style=1),
        ),
        diagonal=True,
        unit_x=True,
        unit_y=True,
        text="ECE 0.123",
    ),
    "steps": Panel("steps", "", "x", "y", (Series("a", [0, 1, 2], [0.25, 0.75]),)),
    "points": Panel("points", "", "x", "y", (Series("a", [0.4], [0.2], [0.1], [0.3]),)),
}


@pytest.mark.parametrize("kind", PANELS)
def test_every_kind_draws_as_png_and_svg_and_touches_no_edge(kind: str) -> None:
    canvas = draw(Figure(kind, f"{LONG}: a title", (PANELS[kind], PANELS[kind])))
    image = Image.open(io.BytesIO(to_bytes(canvas, "png"))).convert("L")
    pixels = np.asarray(image)
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    assert all((edge == 255).all() for edge in edges)
    assert b"<svg" in to_bytes(canvas, "svg")


def test_lines_carry_the_data_and_the_intervals() -> None:
    (axes,) = draw(Figure("line", "title", (PANELS["line"],))).axes
    for series, container in zip(LINES, axes.containers, strict=True):
        line, _, (bars,) = container
        assert line.get_xdata().tolist() == list(series.x)
        assert line.get_ydata().tolist() == list(series.y)
        ends = [path.vertices[:, 1] for path in bars.get_paths()]
        assert ends[1].tolist() == pytest.approx([series.low[1], series.high[1]])
        assert container.get_label() == series.label


def test_reliability_shows_counts_and_ece() -> None:
    axes, shares = draw(Figure("r", "title", (PANELS["reliability"],))).axes
    assert [patch.get_height() for patch in shares.patches] == [3, 40]
    assert [text.get_text() for text in axes.texts] == ["ECE 0.123"]
    assert [line.get_label() for line in axes.lines if len(line.get_xdata()) == 3] == ["curve"]


def test_bars_are_named_and_as_high_as_the_data() -> None:
    (axes,) = draw(Figure("b", "title", (PANELS["bars"],))).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == list(PANELS["bars"].ticks)
    assert [patch.get_height() for patch in axes.patches] == [0.2, 0.4, 0.3]


def test_models_differ_in_colour_mark_dash_and_hatch() -> None:
    for looks in (COLOURS, MARKS, DASHES, HATCHES):
        assert len(set(looks)) == len(looks) == MOST_MODELS


def test_names_are_no_formulas() -> None:
    canvas = draw(Figure("f", "costs $5 or $x^2$", (PANELS["steps"],)))
    assert canvas.get_suptitle() == "costs $5 or $x^2$"
    to_bytes(canvas, "svg")
