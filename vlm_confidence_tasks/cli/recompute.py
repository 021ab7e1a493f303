"""`vlm-confidence recompute`: every metric again, from samples files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from vlm_confidence_tasks.cli.options import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "recompute",
        help="compute every metric of a task again from its samples file, without the model",
        description="Compute every metric of a task again from the readouts in its samples file. "
        "The numbers are those of the results file; where representations were measured, "
        "entropies by layer and correlations are added.",
    )
    parser.add_argument("samples", type=Path, nargs="+", metavar="SAMPLES.jsonl")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object; of several files, by file"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the numbers of each file."""
    by_file = {str(file): _numbers(file) for file in options.samples}
    several = len(by_file) > 1
    if options.json:
        print(json.dumps(by_file if several else next(iter(by_file.values())), indent=2))
        return 0
    for file, numbers in by_file.items():
        if several:
            print(f"{file}:")
        width = max(map(len, numbers))
        for name, value in numbers.items():
            print(f"{name:<{width}}  {value!r}")
    return 0


def _numbers(file: Path) -> dict[str, float]:
    from vlm_confidence_tasks.metrics import Answers, values
    from vlm_confidence_tasks.report.inputs.samples import SamplesError, read_samples
    from vlm_confidence_tasks.report.representation_statistics import inside_numbers

    samples_file = read_samples(file)
    try:
        answers = Answers.of(samples_file.samples)
        numbers = values(answers) | inside_numbers(answers)
    except ValueError as error:
        raise SamplesError(f"{file}: {error}") from error
    if not numbers:
        raise SamplesError(f"{file}: no metric can be computed from it")
    return {**numbers, "failed": samples_file.failed} if samples_file.failed else numbers
