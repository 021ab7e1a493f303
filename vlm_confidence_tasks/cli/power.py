"""`vlm-confidence power`: what a run's images can show, and how many an effect takes."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from vlm_confidence_tasks.cli.options import Commands, add_quiet, names
from vlm_confidence_tasks.report.inputs.problems import ReportError


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "power",
        help="the smallest effect that a run's images can show, and how many an effect takes",
        description="Say of means and rates, and of what perturbation changes of them, the "
        "smallest effect that as many such images show, and how many images an effect takes, by "
        "the variance over the images of this very run. Of two runs: of B - A, paired over images.",
        epilog="Example: vlm-confidence power results --effect 0.02",
    )
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RESULTS",
        help="a results file or a folder of one model's, or two of them",
    )
    parser.add_argument(
        "--effect",
        type=_effect,
        default=0.01,
        help="the effect to plan for, of entropies as a share of the clean one; default: 0.01",
    )
    parser.add_argument(
        "--metrics", type=names, default=(), metavar="A,B", help="default: the core ones"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the plan; 1 if something was wrong with the input."""
    from vlm_confidence_tasks.report import power
    from vlm_confidence_tasks.report.inputs.problems import Problems

    if len(options.runs) > 2:
        raise ReportError(f"{len(options.runs)} runs: give one, or the two that are compared")
    problems, effect = Problems(), options.effect
    plans = power.plan_images(options.runs, effect, problems, options.metrics, options.quiet)
    if options.json:
        print(json.dumps(power.to_record(plans, effect), indent=2))
    elif plans:
        print(power.to_text(plans, effect))
    return problems.exit_code()


def _effect(text: str) -> float:
    """Read a number over 0 and under 1."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"must be a number over 0 and under 1, got {text!r}")
    return number
