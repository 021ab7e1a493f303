"""`vlm-confidence power`: what a run's images can show, and how many an effect takes."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from vlm_confidence_tasks.cli.options import Commands, add_quiet
from vlm_confidence_tasks.report.inputs.problems import ReportError


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "power",
        help="the smallest effect that a run's images can show, and how many an effect takes",
        description="Say of each core mean and rate, and of what perturbation changes of it, the "
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
        type=_over_0,
        default=0.01,
        help="the effect to plan for, of entropies as a share of the clean one; default: 0.01",
    )
    parser.add_argument(
        "--level", type=_over_half, default=0.95, help="of the interval; default: 0.95"
    )
    parser.add_argument(
        "--power", type=_over_half, default=0.8, help="chance to show the effect; default: 0.8"
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
    problems = Problems()
    wanted = power.Wanted(options.effect, options.level, options.power)
    plans = power.plan_images(options.runs, wanted, problems, options.quiet)
    if options.json:
        print(json.dumps(power.to_record(plans, wanted), indent=2))
    elif plans:
        print(power.to_text(plans, wanted))
    return problems.exit_code()


def _over_0(text: str) -> float:
    """Read a number over 0."""
    return _number(text, 0.0, math.inf, "a number over 0")


def _over_half(text: str) -> float:
    """Read a number over 0.5 and under 1."""
    return _number(text, 0.5, 1.0, "over 0.5 and under 1")


def _number(text: str, low: float, high: float, wanted: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low < number < high:
        raise argparse.ArgumentTypeError(f"must be {wanted}, got {text!r}")
    return number
