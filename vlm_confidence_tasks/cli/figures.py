"""`vlm-confidence figures`: the figures of runs, and their data."""

from __future__ import annotations

import argparse

from vlm_confidence_tasks.cli.options import Commands, add_folders, add_measuring, check_folder


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "figures",
        help="draw the runs' figures as PNG and SVG, with their data",
        description="Draw entropy and accuracy against noise, reliability, risk-coverage, flip "
        "rates, drift, margins and the entropy defence for every run under the folders.",
    )
    add_folders(parser)
    add_measuring(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Draw the figures; 1 if something was wrong with the input."""
    from vlm_confidence_tasks.report.figures.all_figures import all_figures, curves_by_entry
    from vlm_confidence_tasks.report.formats.files import write_figures
    from vlm_confidence_tasks.report.inputs.problems import Problems
    from vlm_confidence_tasks.report.inputs.runs import find_runs
    from vlm_confidence_tasks.report.leaderboard.leaderboard import build_leaderboard, collect
    from vlm_confidence_tasks.report.leaderboard.summary import SummaryOptions

    problems = Problems()
    runs = find_runs(options.folders, problems)
    if runs:
        check_folder(options.output)
    intervals = not options.no_intervals
    wanted = SummaryOptions(intervals, True, options.workers, options.quiet)
    summarised, older = collect(runs, wanted, problems)
    if summarised:
        record = build_leaderboard(summarised, older, intervals, problems)
        shown = all_figures(record, curves_by_entry(record, summarised))
        write_figures(options.output, shown, options.workers, options.quiet)
    return problems.exit_code()
