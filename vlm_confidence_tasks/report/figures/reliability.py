"""Figures of one task: reliability, risk-coverage, margins, the defence's ROC."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel, Series
from vlm_confidence_tasks.report.figures.sweeps import Styles
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard, Record

Curves = Mapping[tuple[str, str], Mapping[str, Any]]


def reliability(leaderboard: Leaderboard) -> Iterator[Figure]:
    """Draw each model's reliability, clean beside perturbed, with the table's ECE."""
    for entry in leaderboard["entries"]:
        sides = (("clean", "ece_clean"), ("perturbed", "ece"))
        panels = [_reliability(entry, side, ece) for side, ece in sides if entry["bins"][side]]
        if panels:
            model, column = entry["model"], entry["column"]
            title = f"{model}, {column}: reliability, clean and perturbed"
            yield Figure(f"reliability_{column}_{model}", title, tuple(panels), model)


def _reliability(entry: Record, side: str, ece: str) -> Panel:
    bins = entry["bins"][side]
    has_ends = any("accuracy_low" in held for held in bins)
    series = Series(
        "",
        [held["confidence"] for held in bins],
        [held["accuracy"] for held in bins],
        [held.get("accuracy_low", held["accuracy"]) for held in bins] if has_ends else [],
        [held.get("accuracy_high", held["accuracy"]) for held in bins] if has_ends else [],
        counts=[held["count"] for held in bins],
    )
    words = f"ECE {entry['metrics'][ece]['value']:.3f}" if ece in entry["metrics"] else ""
    return Panel(
        "reliability",
        side,
        "mean confidence of the bin",
        "accuracy",
        (series,),
        diagonal=True,
        unit_x=True,
        unit_y=True,
        text=words,
    )


def margins(leaderboard: Leaderboard, curves: Curves) -> Iterator[Figure]:
    """Draw how sure the clean answers were that flipped, and those that did not."""
    for entry in leaderboard["entries"]:
        model, column = entry["model"], entry["column"]
        held = curves[model, column].get("margins")
        if not held or not sum(held["flipped"]) or not sum(held["kept"]):
            continue
        series = tuple(
            Series(
                f"{name} (n = {sum(held[key])})",
                held["edges"],
                [count / sum(held[key]) for count in held[key]],
                style=style,
                dashed=key == "kept",
            )
            for style, (key, name) in enumerate([("flipped", "flipped"), ("kept", "unflipped")])
        )
        label = "margin of the clean answer, ln p(best) − ln p(second)"
        panel = Panel("steps", "", label, "share of answers", series)
        title = f"{model}, {column}: clean margins of flipped and unflipped answers"
        yield Figure(f"margins_{column}_{model}", title, (panel,), model)


def risk_coverage(leaderboard: Leaderboard, styles: Styles, curves: Curves) -> Iterator[Figure]:
    """Draw the share of wrong answers against the share of answers given."""
    sides = (("clean", "risk_coverage_clean"), ("perturbed", "risk_coverage"))
    for column, entries in _by_column(leaderboard):
        panels = [
            Panel(
                "line",
                side,
                "coverage: share of answers given",
                "risk: share of them wrong",
                _lines(entries, styles, curves, key, "coverage", "risk"),
                unit_x=True,
            )
            for side, key in sides
        ]
        if filled := tuple(panel for panel in panels if panel.series):
            title = f"{column}: risk against coverage, clean and perturbed"
            yield Figure(f"risk_coverage_{column}", title, filled)


def defense(leaderboard: Leaderboard, styles: Styles, curves: Curves) -> Iterator[Figure]:
    """Draw the ROC of "reject where the entropy is high", and the 95% threshold on it."""
    for column, entries in _by_column(leaderboard):
        lines = _lines(entries, styles, curves, "defense_roc", "clean", "perturbed", _auroc)
        if not lines:
            continue
        points = tuple(
            Series("", [point[0]], [point[1]], style=styles[entry["model"]])
            for entry in entries
            if (roc := curves[entry["model"], column].get("defense_roc"))
            and (point := roc["at_threshold"])
        )
        panel = Panel(
            "line",
            "",
            "clean images rejected",
            "perturbed images rejected",
            lines + points,
            diagonal=True,
            unit_x=True,
            unit_y=True,
        )
        title = f"{column}: the entropy defence's ROC; marks: 95th percentile of clean entropies"
        yield Figure(f"defense_{column}", title, (panel,))


def _auroc(entry: Record) -> str:
    held = entry["metrics"].get("defense_auroc")
    return f"{entry['model']}: AUROC {held['value']:.3f}" if held else str(entry["model"])


def _name(entry: Record) -> str:
    return str(entry["model"])


def _by_column(leaderboard: Leaderboard) -> Iterator[tuple[str, list[Record]]]:
    for column in leaderboard["columns"]:
        held = [entry for entry in leaderboard["entries"] if entry["column"] == column["id"]]
        yield column["id"], held


def _lines(
    entries: Sequence[Record],
    styles: Styles,
    curves: Curves,
    key: str,
    x: str,
    y: str,
    label: Callable[[Record], str] = _name,
) -> tuple[Series, ...]:
    series = []
    for entry in entries:
        curve = curves[entry["model"], entry["column"]].get(key)
        if curve:
            style = styles[entry["model"]]
            series.append(Series(label(entry), curve[x], curve[y], style=style))
    return tuple(series)
