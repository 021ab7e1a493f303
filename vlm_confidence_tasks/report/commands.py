"""What the subcommands `leaderboard`, `figures`, `compare` and `claims` do."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from vlm_confidence_tasks.report import compare
from vlm_confidence_tasks.report.claims import pages
from vlm_confidence_tasks.report.claims.record import judge
from vlm_confidence_tasks.report.claims.subjects import read_sizes
from vlm_confidence_tasks.report.figures.all_figures import all_figures, curves_by_entry
from vlm_confidence_tasks.report.formats import files
from vlm_confidence_tasks.report.inputs.problems import Problems, ReportError
from vlm_confidence_tasks.report.inputs.runs import find_runs
from vlm_confidence_tasks.report.leaderboard.leaderboard import build_leaderboard, collect
from vlm_confidence_tasks.report.leaderboard.summary import SummaryOptions, known_metrics
from vlm_confidence_tasks.report.leaderboard.tables import build_tables, check_names
from vlm_confidence_tasks.sandbox import data_folder

# How the files end that are written into an `--output`.
PAGES = {".json", ".md", ".html", ".csv", ".tex", ".png", ".svg"}


def leaderboard(options: argparse.Namespace) -> int:
    """Make the leaderboard's files; 1 if something was wrong with the input."""
    problems = Problems()
    runs = find_runs(options.folders, problems)
    # Flip rates of families that are not registered here are named by the runs alone.
    reported = (name for run in runs for name in run.numbers)
    check_names(options.metrics, dict.fromkeys((*known_metrics(()), *reported)))
    summary_options = _summary_options(options, curves=not options.no_figures)
    if runs:
        _check_folder(options.output)
    found, older = collect(runs, summary_options, problems)
    if not found:
        return problems.exit_code()
    record = build_leaderboard(found, older, summary_options.intervals, problems)
    tables = build_tables(record, options.by, options.metrics)
    shown = [] if options.no_figures else all_figures(record, curves_by_entry(record, found))
    data = data_folder(options.data)
    files.write_leaderboard(options.output, record, tables, options.by, shown, data, options.quiet)
    if not options.quiet:
        print(options.output / "index.html")
    return problems.exit_code()


def figures(options: argparse.Namespace) -> int:
    """Draw the figures; 1 if something was wrong with the input."""
    problems = Problems()
    summary_options = _summary_options(options, curves=True)
    runs = find_runs(options.folders, problems)
    if runs:
        _check_folder(options.output)
    found, older = collect(runs, summary_options, problems)
    if found:
        record = build_leaderboard(found, older, summary_options.intervals, problems)
        shown = all_figures(record, curves_by_entry(record, found))
        files.write_figures(options.output, shown, options.quiet)
    return problems.exit_code()


def compare_two(options: argparse.Namespace) -> int:
    """Print the differences of two runs; 1 if something was wrong with the input."""
    problems = Problems()
    found = compare.compare_runs(options.runs, problems, options.quiet)
    if options.json:
        print(json.dumps(compare.to_record(found), indent=2))
    elif found.differences:
        print(compare.to_text(found))
    return problems.exit_code()


def claims(options: argparse.Namespace) -> int:
    """Write the verdicts on the claims; 1 if something was wrong with the input."""
    sizes = [read_sizes(given) for given in options.sizes]
    if (options.before is None) != (options.after is None):
        raise ReportError("--before and --after go together: the model without and with training")
    if options.before is not None and options.before == options.after:
        raise ReportError(f"--before and --after name one model, {options.before!r}")
    pair = None if options.before is None else (options.before, options.after)
    problems = Problems()
    runs = find_runs(options.folders, problems, traps=True)
    if runs:
        _check_folder(options.output)
        page = pages.write(options.output, judge(runs, sizes, pair, problems, options.quiet))
        if not options.quiet:
            print(page)
    return problems.exit_code()


def _check_folder(output: Path) -> None:
    """Refuse an `--output` that could not be written, before anything is computed.

    Raises:
        ReportError: It is no folder, or cannot be made, or has a folder where a page is to be.
    """
    there = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ReportError(f"--output {output}: {there} is a file; give a folder")
    if not os.access(there, os.W_OK):
        raise ReportError(f"--output {output}: {there} cannot be written; give another folder")
    for inside in output.glob("*.*"):
        if inside.is_dir() and inside.suffix in PAGES:
            raise ReportError(f"--output {output}: {inside} is no file; give another folder")


def _summary_options(options: argparse.Namespace, curves: bool) -> SummaryOptions:
    return SummaryOptions(not options.no_intervals, curves, options.workers, options.quiet)
