"""All figures of a leaderboard, as data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vlm_confidence_tasks.report.figures import reliability as of_tasks
from vlm_confidence_tasks.report.figures import sweeps as over_tasks
from vlm_confidence_tasks.report.figures.figure_data import MOST_MODELS, Figure
from vlm_confidence_tasks.report.leaderboard.leaderboard import Board
from vlm_confidence_tasks.report.leaderboard.selection import Summarised

Curves = Mapping[tuple[str, str], Mapping[str, Any]]


def curves_by_entry(board: Board, found: Sequence[Summarised]) -> Curves:
    """Return the curves of every entry of a leaderboard, by model and column."""
    by_file = {str(run.samples): summary.curves for run, summary in found}
    return {(e["model"], e["column"]): by_file[e["samples"]] for e in board["entries"]}


def all_figures(board: Board, curves: Curves) -> list[Figure]:
    """Return every figure that the runs have the numbers for, each with its own name."""
    figures = []
    names = [model["name"] for model in board["models"]]
    for first in range(0, len(names), MOST_MODELS):
        some = names[first : first + MOST_MODELS]
        part = f"-part{first // MOST_MODELS + 1}" if len(names) > MOST_MODELS else ""
        styles = {name: n for n, name in enumerate(some)}
        entries = [entry for entry in board["entries"] if entry["model"] in styles]
        shown = _figures({**board, "entries": entries}, styles, curves)
        figures += [f if f.model else replace(f, name=f"{f.name}{part}") for f in shown]
    return _with_file_names(figures)


def _figures(board: Board, styles: Mapping[str, int], curves: Curves) -> Iterator[Figure]:
    yield from over_tasks.sweeps(board, styles)
    yield from over_tasks.flip_rates(board, styles)
    yield from over_tasks.drift(board, styles)
    yield from of_tasks.risk_coverage(board, styles, curves)
    yield from of_tasks.defense(board, styles, curves)
    yield from of_tasks.reliability(board)
    yield from of_tasks.margins(board, curves)


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
