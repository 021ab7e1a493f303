"""`vlm-confidence verify`: clean numbers against published ones."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from vlm_confidence_tasks.cli.options import Commands, add_quiet


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "verify",
        help="hold a run's clean numbers against published ones",
        description="Hold the clean numbers of runs (accuracy_clean, f1_clean, ...) against "
        "published ones of the same model: inside the run's interval, outside by how much, or not "
        "comparable and why. Exits with 0 whatever the verdicts, with 1 on bad input.",
    )
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RESULTS",
        help="a results file, or a folder that is searched for them",
    )
    parser.add_argument(
        "--numbers",
        type=Path,
        metavar="FILE",
        help="published numbers of your own, a YAML file of the form of report/published.yaml in "
        "the package, instead of those in it",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the verdicts; 1 if something was wrong with the input."""
    from vlm_confidence_tasks.report import verify
    from vlm_confidence_tasks.report.inputs.problems import Problems
    from vlm_confidence_tasks.report.inputs.published import PUBLISHED, read_published

    published = read_published(options.numbers or PUBLISHED)
    problems = Problems()
    verification = verify.verify_runs(options.runs, published, problems, options.quiet)
    if options.json:
        print(json.dumps(verify.to_record(verification), indent=2))
    elif text := verify.to_text(verification):
        print(text)
    return problems.exit_code()
