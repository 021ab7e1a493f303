"""Figures of one task and model: reliability, and the margins of answers that flipped."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel, Series
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard, Record
from vlm_confidence_tasks.report.leaderboard.tables import cell_of

CORP = "isotonic regression (CORP)"
# The curves of every entry, by model and column.
Curves = Mapping[tuple[str, str], Mapping[str, Any]]


def reliability(leaderboard: Leaderboard, curves: Curves) -> Iterator[Figure]:
    """Draw each model's reliability in bins and by CORP, clean beside perturbed, with the ECE."""
    for entry in leaderboard["entries"]:
        model, column = entry["model"], entry["column"]
        panels = [
            _reliability(
                entry["bins"][side],
                side,
                _ece(leaderboard, entry, f"ece{end}"),
                curves[model, column].get(f"corp{end}"),
            )
            for side, end in (("clean", "_clean"), ("perturbed", ""))
            if entry["bins"][side]
        ]
        if panels:
            title = f"{model}, {column}: reliability, clean and perturbed"
            yield Figure(f"reliability_{column}_{model}", title, tuple(panels), model)


def recalibration(leaderboard: Leaderboard, curves: Curves) -> Iterator[Figure]:
    """Draw each model's reliability before and after scaling by the clean temperature."""
    for entry in leaderboard["entries"]:
        model, column = entry["model"], entry["column"]
        scaled = curves[model, column].get("scaled_bins")
        if not scaled:
            continue
        panels = [
            _reliability(bins, f"{side}, {state}", _ece(leaderboard, entry, ece))
            for side, end in (("clean", "_clean"), ("perturbed", ""))
            for state, bins, ece in (
                ("before", entry["bins"][side], f"ece{end}"),
                ("after", scaled[side], f"ece_ts{end}"),
            )
        ]
        title = f"{model}, {column}: reliability before and after scaling by the clean temperature"
        yield Figure(f"recalibration_{column}_{model}", title, tuple(panels), model)


def _reliability(bins: Sequence[Record], side: str, text: str, corp: Record | None = None) -> Panel:
    has_ends = any("accuracy_low" in one for one in bins)
    low, high = (
        [one.get(f"accuracy_{end}") for one in bins] if has_ends else [] for end in ("low", "high")
    )
    confidence, accuracy, counts = (
        [one[key] for one in bins] for key in ("confidence", "accuracy", "count")
    )
    series = [Series("", confidence, accuracy, low, high, counts=counts)]
    if corp:
        series.append(Series(CORP, corp["confidence"], corp["recalibrated"], style=1))
    return Panel(
        "reliability",
        side,
        "mean confidence of the bin",
        "accuracy",
        tuple(series),
        diagonal=True,
        unit_x=True,
        unit_y=True,
        text=text,
    )


def _ece(leaderboard: Leaderboard, entry: Record, name: str) -> str:
    if name not in entry["metrics"]:
        return ""
    cell = cell_of(leaderboard, entry, name)
    return f"ECE {cell.text} {cell.beside}".rstrip()


def margins(leaderboard: Leaderboard, curves: Curves) -> Iterator[Figure]:
    """Draw how sure the clean answers were that flipped, and those that did not."""
    for entry in leaderboard["entries"]:
        model, column = entry["model"], entry["column"]
        counts = dict(curves[model, column].get("margins") or {})
        edges = counts.pop("edges", [])
        if not counts or not all(map(sum, counts.values())):
            continue
        series = tuple(
            Series(
                f"{name} (n = {sum(counts[name])})",
                edges,
                [count / sum(counts[name]) for count in counts[name]],
                style=style,
                dashed=name == "unflipped",
            )
            for style, name in enumerate(("flipped", "unflipped"))
        )
        label = "margin of the clean answer, ln p(best) − ln p(second)"
        panel = Panel("steps", "", label, "share of answers", series)
        title = f"{model}, {column}: clean margins of flipped and unflipped answers"
        yield Figure(f"margins_{column}_{model}", title, (panel,), model)
