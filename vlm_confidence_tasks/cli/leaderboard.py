"""`vlm-confidence leaderboard`: runs of several models on one page."""

from __future__ import annotations

import argparse

from vlm_confidence_tasks.cli.options import (
    Commands,
    add_folders,
    add_measuring,
    check_folder,
    names,
)


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "leaderboard",
        help="put runs of several models together: JSON, Markdown, CSV, LaTeX and HTML",
        description="Find every run under the folders and put the newest of each model and task "
        "(one of all documents before one with --limit or --offset) on one leaderboard, with "
        "95% intervals over images.",
    )
    add_folders(parser)
    add_measuring(parser)
    parser.add_argument("--by", choices=("task", "metric"), default="task", help="what columns are")
    parser.add_argument(
        "--metrics", type=names, default=(), metavar="A,B", help="which metrics the tables show"
    )
    parser.add_argument("--no-figures", action="store_true", help="leave the figures out")
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder of the data sets, from which flipped images are made again: as in "
        "VLM_CONFIDENCE_DATA, which is the default",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the leaderboard's files; 1 if something was wrong with the input."""
    from vlm_confidence_tasks.metrics import current_names
    from vlm_confidence_tasks.report.figures.all_figures import all_figures, curves_by_entry
    from vlm_confidence_tasks.report.formats.files import write_leaderboard
    from vlm_confidence_tasks.report.formats.html import FOLDERS
    from vlm_confidence_tasks.report.inputs.known_metrics import known_metrics
    from vlm_confidence_tasks.report.inputs.problems import Problems
    from vlm_confidence_tasks.report.inputs.runs import find_runs
    from vlm_confidence_tasks.report.leaderboard.leaderboard import build_leaderboard, collect
    from vlm_confidence_tasks.report.leaderboard.summary import SummaryOptions
    from vlm_confidence_tasks.report.leaderboard.tables import (
        HEADLINE,
        build_tables,
        check_names,
    )
    from vlm_confidence_tasks.sandbox import data_folder

    problems = Problems()
    runs = find_runs(options.folders, problems)
    # Flip rates of families that are not registered here are named by the runs alone.
    reported = (name for run in runs for name in run.numbers)
    known = known_metrics(())
    metrics = current_names(options.metrics, known)
    check_names(metrics, dict.fromkeys((*known, *reported)))
    if runs:
        check_folder(options.output, FOLDERS)
    intervals, drawn = not options.no_intervals, not options.no_figures
    ranked = tuple(dict.fromkeys((*HEADLINE, *metrics)))
    wanted = SummaryOptions(intervals, drawn, options.workers, options.quiet, ranked)
    summarised, older = collect(runs, wanted, problems)
    if not summarised:
        return problems.exit_code()
    record = build_leaderboard(summarised, older, intervals, problems)
    tables = build_tables(record, options.by, metrics)
    shown = all_figures(record, curves_by_entry(record, summarised)) if drawn else []
    data = data_folder(options.data)
    write_leaderboard(
        options.output, record, tables, options.by, shown, data, options.workers, options.quiet
    )
    if not options.quiet:
        print(options.output / "index.html")
    return problems.exit_code()
