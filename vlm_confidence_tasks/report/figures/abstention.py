"""Figures of one task: what is gained where the model's answer is not taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel, Series
from vlm_confidence_tasks.report.figures.reliability import Curves
from vlm_confidence_tasks.report.figures.sweeps import Styles
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard, Record


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
    auroc = entry["metrics"].get("defense_auroc")
    return f"{entry['model']}: AUROC {auroc['value']:.3f}" if auroc else _name(entry)


def _name(entry: Record) -> str:
    return str(entry["model"])


def _by_column(leaderboard: Leaderboard) -> Iterator[tuple[str, list[Record]]]:
    for column in leaderboard["columns"]:
        id_ = column["id"]
        yield id_, [entry for entry in leaderboard["entries"] if entry["column"] == id_]


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
