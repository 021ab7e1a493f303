"""The `vlm-confidence` command."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from vlm_confidence_tasks import __version__
from vlm_confidence_tasks.metrics import task_metrics
from vlm_confidence_tasks.report.samples import SamplesError, read_samples


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exits with 1 and one line on bad input."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except SamplesError as error:
        sys.exit(f"vlm-confidence: error: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vlm-confidence", description="Work on what perturbed tasks left in samples files."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    recompute = commands.add_parser(
        "recompute",
        help="compute every metric of a task again from its samples file, without the model",
        description="Compute every metric of a task again from the readouts in its samples file. "
        "The numbers are those of the results file.",
    )
    recompute.add_argument("samples", type=Path, metavar="SAMPLES.jsonl")
    recompute.add_argument("--json", action="store_true", help="print one JSON object")
    recompute.set_defaults(run=_recompute)
    return parser


def _recompute(options: argparse.Namespace) -> None:
    numbers = task_metrics(read_samples(options.samples))
    if options.json:
        print(json.dumps(numbers, indent=2))
        return
    width = max(map(len, numbers))
    for name, value in numbers.items():
        print(f"{name:<{width}}  {value!r}")
