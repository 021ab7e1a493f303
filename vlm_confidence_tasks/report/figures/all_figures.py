"""All figures of a leaderboard, as data."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from vlm_confidence_tasks.report.figures.abstention import defense, errors, risk_coverage
from vlm_confidence_tasks.report.figures.figure_data import MOST_MODELS, Figure
from vlm_confidence_tasks.report.figures.flip_rates import flip_rates
from vlm_confidence_tasks.report.figures.reliability import (
    Curves,
    margins,
    recalibration,
    reliability,
)
from vlm_confidence_tasks.report.figures.representation_drift import drift
from vlm_confidence_tasks.report.figures.sweeps import sweeps
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard
from vlm_confidence_tasks.report.leaderboard.selection import Summarised


def curves_by_entry(leaderboard: Leaderboard, summarised: Sequence[Summarised]) -> Curves:
    """Return the curves of every entry of a leaderboard, by model and column."""
    by_file = {str(run.samples): summary.curves for run, summary in summarised}
    return {(e["model"], e["column"]): by_file[e["samples"]] for e in leaderboard["entries"]}


def all_figures(leaderboard: Leaderboard, curves: Curves) -> list[Figure]:
    """Return every figure that the runs have the numbers for, each with its own name."""
    figures = []
    names = [model["name"] for model in leaderboard["models"]]
    for first in range(0, len(names), MOST_MODELS):
        some = names[first : first + MOST_MODELS]
        part = f"-part{first // MOST_MODELS + 1}" if len(names) > MOST_MODELS else ""
        styles = {name: n for n, name in enumerate(some)}
        entries = [entry for entry in leaderboard["entries"] if entry["model"] in styles]
        shown = _figures({**leaderboard, "entries": entries}, styles, curves)
        figures += [f if f.model else replace(f, name=f"{f.name}{part}") for f in shown]
    return _with_file_names(figures)


def _figures(
    leaderboard: Leaderboard, styles: Mapping[str, int], curves: Curves
) -> Iterator[Figure]:
    yield from sweeps(leaderboard, styles)
    yield from flip_rates(leaderboard, styles)
    yield from drift(leaderboard, styles)
    yield from risk_coverage(leaderboard, styles, curves)
    yield from defense(leaderboard, styles, curves)
    yield from reliability(leaderboard, curves)
    yield from recalibration(leaderboard, curves)
    yield from errors(leaderboard, curves)
    yield from margins(leaderboard, curves)


def _with_file_names(figures: Sequence[Figure]) -> list[Figure]:
    """Make the names fit for files, no two the same."""
    seen: Counter[str] = Counter()
    named = []
    for figure in figures:
        stem = re.sub(r"[^A-Za-z0-9.-]+", "_", figure.name).strip("_.")[:120]
        seen[stem.lower()] += 1
        n = seen[stem.lower()]
        named.append(replace(figure, name=stem if n == 1 else f"{stem}_{n}"))
    return named
