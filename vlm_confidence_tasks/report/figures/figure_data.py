"""What a figure is made of: data and words, no drawing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["line", "bars", "reliability", "steps", "points"]
# Colours and marks that stay apart in one picture; more models make another picture.
MOST_MODELS = 7


@dataclass(frozen=True)
class Series:
    """One line, or one set of bars or points.

    Attributes:
        label: Its name in the legend, "" for none.
        x: Positions, or the edges of "steps".
        low: Lower ends of the intervals of `y`, None where there is none; empty without any.
        style: Number of its colour and mark: the model's place.
        dashed: Whether it is drawn as the second of two kinds.
        counts: For reliability bins, how many answers each holds; empty of a curve without bins.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    style: int = 0
    dashed: bool = False
    counts: Sequence[int] = ()


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        x_label: What x is, with the unit.
        y_label: What y is, with the unit.
        ticks: Names of whole x positions, for bars.
        diagonal: Whether the line y = x is drawn.
        unit_x: Whether x is shown from 0 to 1.
        unit_y: Whether y is shown from 0 to 1.
        text: Words inside the axes: the numbers that the table has too.
    """

    kind: Kind
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    ticks: tuple[str, ...] = ()
    diagonal: bool = False
    unit_x: bool = False
    unit_y: bool = False
    text: str = ""


@dataclass(frozen=True)
class Figure:
    """One picture.

    Attributes:
        name: Name of its files, without the ending.
        title: What it shows; also its text for those who cannot see it.
        model: The one model that it is about, "" for several.
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    model: str = ""
