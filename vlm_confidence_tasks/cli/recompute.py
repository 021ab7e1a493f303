"""`vlm-confidence recompute`: every metric again, from samples files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from vlm_confidence_tasks.cli.options import Commands
from vlm_confidence_tasks.report.inputs.problems import Problems


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "recompute",
        help="compute every metric of a task again from its samples file, without the model",
        description="Compute every metric of a task again from the readouts in its samples file. "
        "The numbers are those of the results file beside it, or the samples are refused; where "
        "representations were measured, entropies by layer and correlations are added.",
    )
    parser.add_argument(
        "samples",
        type=Path,
        nargs="+",
        metavar="SAMPLES.jsonl",
        help="a samples file, or a results file for all samples files beside it",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object; of several files, by file"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the numbers of each file; 1 if something was wrong with the input."""
    problems = Problems()
    files = [file for given in options.samples for file in _samples_files(given, problems)]
    by_file = {str(file): _numbers(file, problems) for file in files}
    several = len(by_file) > 1
    if options.json and by_file:
        print(json.dumps(by_file if several else next(iter(by_file.values())), indent=2))
    for file, numbers in {} if options.json else by_file.items():
        if several:
            print(f"{file}:")
        width = max(map(len, numbers))
        for name, value in numbers.items():
            print(f"{name:<{width}}  {value!r}")
    return problems.exit_code()


def _samples_files(given: Path, problems: Problems) -> list[Path]:
    """Return the samples files of a results file; any other file is one itself."""
    from vlm_confidence_tasks.report.inputs.runs import RESULTS, find_runs

    if not given.name.endswith(RESULTS):
        return [given]
    return [run.samples for run in find_runs([given], problems)]


def _numbers(file: Path, problems: Problems) -> dict[str, float]:
    from vlm_confidence_tasks.report.inputs.held_samples import read_beside
    from vlm_confidence_tasks.report.inputs.samples import SamplesError
    from vlm_confidence_tasks.report.representation_statistics import inside_numbers

    held = read_beside(file)
    if held.run is None:
        problems.note(
            f"{file}: its run's results file is not beside it, so that these numbers are held "
            "against none"
        )
    elif not held.run.whole:
        problems.note(f"{file}: {held.run.part}: part of the data only")
    numbers = {name: number.value for name, number in held.numbers.items()}
    numbers |= inside_numbers(held.answers)
    if not numbers:
        raise SamplesError(f"{file}: no metric can be computed from it")
    return {**numbers, "failed": held.file.failed} if held.file.failed else numbers
