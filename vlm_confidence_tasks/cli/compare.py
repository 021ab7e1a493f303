"""`vlm-confidence compare`: what one run changed against another."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from vlm_confidence_tasks.cli.options import Commands, add_quiet


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="paired differences of two runs on the documents that both answered",
        description="Compare two runs, each a results file or a folder of one model's, on the "
        "documents that both answered: B - A with a paired 95% interval over images.",
    )
    parser.add_argument("runs", type=Path, nargs=2, metavar="RUN")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the differences of two runs; 1 if something was wrong with the input."""
    from vlm_confidence_tasks.report import compare
    from vlm_confidence_tasks.report.inputs.problems import Problems

    problems = Problems()
    comparison = compare.compare_runs(options.runs, problems, options.quiet)
    if options.json:
        print(json.dumps(compare.to_record(comparison), indent=2))
    elif comparison.differences:
        print(compare.to_text(comparison))
    return problems.exit_code()
