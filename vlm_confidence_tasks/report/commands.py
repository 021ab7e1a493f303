"""What the subcommands `leaderboard`, `figures` and `compare` do."""

from __future__ import annotations

import argparse
import json

from vlm_confidence_tasks.metrics import metrics_for
from vlm_confidence_tasks.report import compare
from vlm_confidence_tasks.report.figures.all_figures import all_figures, curves_by_entry
from vlm_confidence_tasks.report.formats import files
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs
from vlm_confidence_tasks.report.leaderboard.leaderboard import build_board, collect
from vlm_confidence_tasks.report.leaderboard.summary import Wanted
from vlm_confidence_tasks.report.leaderboard.tables import build_tables, check_names
from vlm_confidence_tasks.sandbox import data_folder

FLIPS = ("ifr_", "iv_")


def leaderboard(options: argparse.Namespace) -> int:
    """Make the leaderboard's files; 1 if something was wrong with the input."""
    # Families of one's own have flip rates that only the runs tell of.
    check_names([name for name in options.metrics if not name.startswith(FLIPS)], metrics_for(()))
    problems = Problems()
    runs = find_runs(options.folders, problems)
    wanted = _wanted(options, curves=not options.no_figures)
    found, older = collect(runs, wanted, problems)
    if not found:
        return problems.exit_code()
    board = build_board(found, older, wanted.draws, problems)
    tables = build_tables(board, options.by, options.metrics)
    figures = all_figures(board, curves_by_entry(board, found)) if wanted.curves else []
    data = data_folder(options.data)
    files.write_board(options.output, board, tables, options.by, figures, data, options.quiet)
    if not options.quiet:
        print(options.output / "index.html")
    return problems.exit_code()


def figures(options: argparse.Namespace) -> int:
    """Draw the figures; 1 if something was wrong with the input."""
    problems = Problems()
    wanted = _wanted(options, curves=True)
    found, older = collect(find_runs(options.folders, problems), wanted, problems)
    if found:
        board = build_board(found, older, wanted.draws, problems)
        drawn = all_figures(board, curves_by_entry(board, found))
        files.write_figures(options.output, drawn, options.quiet)
    return problems.exit_code()


def compare_two(options: argparse.Namespace) -> int:
    """Print the differences of two runs; 1 if something was wrong with the input."""
    problems = Problems()
    found = compare.compare_runs(options.runs, options.draws, problems, options.quiet)
    if options.json:
        print(json.dumps(compare.to_record(found), indent=2))
    elif found.differences:
        print(compare.to_text(found))
    return problems.exit_code()


def _wanted(options: argparse.Namespace, curves: bool) -> Wanted:
    draws = 0 if options.no_intervals else options.draws
    return Wanted(draws=draws, curves=curves, workers=options.workers, quiet=options.quiet)
