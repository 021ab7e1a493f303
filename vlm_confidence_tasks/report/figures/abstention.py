"""Figures of one task: what is gained where the model's answer is not taken."""

from collections.abc import Callable, Iterator, Sequence

from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel, Series
from vlm_confidence_tasks.report.figures.reliability import Curves
from vlm_confidence_tasks.report.figures.sweeps import Styles, by_column, figure, with_intervals
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard, Record


def risk_coverage(leaderboard: Leaderboard, styles: Styles, curves: Curves) -> Iterator[Figure]:
    """Draw the share of wrong answers against the share of answers given.

    Marks: at the confidence that 80% of clean answers have.
    """
    sides = (("clean", "_clean"), ("perturbed", ""))
    for column, entries in by_column(leaderboard):
        panels = [
            Panel(
                "line",
                side,
                "coverage: share of answers given",
                "risk: share of them wrong",
                _lines(entries, styles, curves, f"risk_coverage{end}", "coverage", "risk")
                + _given(entries, styles, end),
                unit_x=True,
            )
            for side, end in sides
        ]
        title = (
            f"{column}: risk against coverage, clean and perturbed; "
            "marks: at the confidence that 80% of clean answers have"
        )
        yield from figure(f"risk_coverage_{column}", title, panels)


def _given(entries: Sequence[Record], styles: Styles, end: str) -> tuple[Series, ...]:
    """Return a mark for every model: what is given at the clean threshold, and its risk."""
    found = []
    for entry in entries:
        given, risk = (entry["metrics"].get(f"{name}_80{end}") for name in ("answered", "risk"))
        if given and risk:
            style = styles[entry["model"]]
            found.append(with_intervals("", style, [(given["value"], risk)]))
    return tuple(found)


def errors(leaderboard: Leaderboard, curves: Curves) -> Iterator[Figure]:
    """Draw how well each signal finds a model's errors against what it costs."""
    for entry in leaderboard["entries"]:
        model, column = entry["model"], entry["column"]
        prices = curves[model, column].get("prices") or {}
        points = [
            (signal, cost, number)
            for signal, cost in prices.items()
            if (number := entry["metrics"].get(f"error_auroc_{signal}"))
        ]
        if not points:
            continue
        series = tuple(
            with_intervals(signal.replace("_", " "), style, [(cost, number)])
            for style, (signal, cost, number) in enumerate(points)
        )
        label = "answers of the model that the signal takes, per question"
        panel = Panel("line", "", label, "AUROC for wrong clean answers", series, unit_y=True)
        title = f"{model}, {column}: which signal finds the errors, and at what price"
        yield Figure(f"errors_{column}_{model}", title, (panel,), model)


def defense(leaderboard: Leaderboard, styles: Styles, curves: Curves) -> Iterator[Figure]:
    """Draw the ROC of "reject where the entropy is high", and the 95% threshold on it."""
    for column, entries in by_column(leaderboard):
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
