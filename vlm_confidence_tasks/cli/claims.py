"""`vlm-confidence claims`: runs held against claims of the literature."""

from __future__ import annotations

import argparse

from vlm_confidence_tasks.cli.options import Commands, add_folders, add_quiet, check_folder
from vlm_confidence_tasks.report.inputs.problems import Problems, ReportError


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "claims",
        help="hold runs against nine claims of the literature: supported, refuted or undecided",
        description="Hold the newest run of each model and task against nine claims, whose tests "
        "and smallest effects are fixed (docs/claims.md): supported, refuted, undecided at this "
        "sample, or not measured, with the command that would measure it. Adjusted (Holm) for "
        "all claims and models together. Writes claims.json, claims.md and claims.html.",
    )
    add_folders(parser)
    parser.add_argument(
        "--sizes",
        nargs="+",
        action="append",
        default=[],
        metavar="NAME=PARAMS",
        help="sizes of one family's models, as in small=800000 large=7B; once a family; default: "
        "read from models' names",
    )
    parser.add_argument("--before", metavar="NAME", help="the model before calibration training")
    parser.add_argument("--after", metavar="NAME", help="the same model after it")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the verdicts on the claims; 1 if something was wrong with the input."""
    from vlm_confidence_tasks.report.claims import pages
    from vlm_confidence_tasks.report.claims.record import judge
    from vlm_confidence_tasks.report.claims.subjects import read_sizes
    from vlm_confidence_tasks.report.inputs.runs import find_runs

    sizes = [read_sizes(given) for given in options.sizes]
    if (options.before is None) != (options.after is None):
        raise ReportError("--before and --after go together: the model without and with training")
    if options.before is not None and options.before == options.after:
        raise ReportError(f"--before and --after name one model, {options.before!r}")
    pair = None if options.before is None else (options.before, options.after)
    problems = Problems()
    runs = find_runs(options.folders, problems, traps=True)
    if runs:
        check_folder(options.output)
        page = pages.write(options.output, judge(runs, sizes, pair, problems, options.quiet))
        if not options.quiet:
            print(page)
    return problems.exit_code()
