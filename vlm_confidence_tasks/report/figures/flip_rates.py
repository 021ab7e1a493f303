"""Figures over tasks of one benchmark: flip rates by family of perturbations."""

from collections import Counter
from collections.abc import Iterator, Sequence

from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel
from vlm_confidence_tasks.report.figures.sweeps import Styles, groups, with_intervals
from vlm_confidence_tasks.report.inputs.known_metrics import ordered_families
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard, Record


def flip_rates(leaderboard: Leaderboard, styles: Styles) -> Iterator[Figure]:
    """Draw flipped instances and flipped documents by family of perturbations."""
    for name, entries in groups(leaderboard, leaderboard["entries"]):
        shown = {
            (entry["column"], family)
            for entry in entries
            for family in entry["families"]
            if f"ifr_{family}" in entry["metrics"]
        }
        bars = [
            (column, family)
            for family in ordered_families({family for _, family in shown})
            for column in sorted(column for column, other in shown if other == family)
        ]
        if not bars:
            continue
        rates = (("ifr", "flipped instances (IFR)"), ("iv", "flipped documents (IV)"))
        panels = [_panel(entries, bars, styles, rate, label) for rate, label in rates]
        yield Figure(f"flips_{name}", f"{name}: flip rates by perturbation", tuple(panels))


def _ticks(bars: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Name each bar by its family, or by its task where several tasks show the family."""
    columns, families = Counter(column for column, _ in bars), Counter(name for _, name in bars)
    return tuple(
        family
        if families[family] == 1
        else column
        if columns[column] == 1
        else f"{column}, {family}"
        for column, family in bars
    )


def _panel(
    entries: Sequence[Record],
    bars: Sequence[tuple[str, str]],
    styles: Styles,
    rate: str,
    label: str,
) -> Panel:
    series = []
    for model, style in styles.items():
        mine = {entry["column"]: entry["metrics"] for entry in entries if entry["model"] == model}
        points = [
            (float(position), mine[column][f"{rate}_{family}"])
            for position, (column, family) in enumerate(bars)
            if f"{rate}_{family}" in mine.get(column, {})
        ]
        if points:
            series.append(with_intervals(model, style, points))
    return Panel("bars", label, "", "share", tuple(series), ticks=_ticks(bars))
