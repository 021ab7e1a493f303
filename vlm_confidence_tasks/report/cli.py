"""The `vlm-confidence` command."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from vlm_confidence_tasks import __version__
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.metrics import Answers, values
from vlm_confidence_tasks.report.inputs.problems import ReportError
from vlm_confidence_tasks.report.inputs.samples import SamplesError, read_samples
from vlm_confidence_tasks.report.representation_statistics import inside_numbers

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(
    arguments: Sequence[str] | None = None, more: Iterable[Callable[[Commands], None]] = ()
) -> None:
    """Run the command; exits with 1 and one line a problem on bad input.

    Args:
        arguments: Its arguments; None: those of the process.
        more: Functions that add further commands.
    """
    options = _parser(more).parse_args(arguments)
    try:
        code = options.run(options)
    except (SamplesError, ReportError, TaskError, OSError) as error:
        sys.exit(f"vlm-confidence: error: {' '.join(str(error).split())}")
    if code:
        sys.exit(code)


def _parser(more: Iterable[Callable[[Commands], None]]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vlm-confidence",
        description="Work on what perturbed tasks left in samples "
        "files, and plan what they will cost.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    recompute = commands.add_parser(
        "recompute",
        help="compute every metric of a task again from its samples file, without the model",
        description="Compute every metric of a task again from the readouts in its samples file. "
        "The numbers are those of the results file; where representations were measured, "
        "entropies by layer and correlations are added.",
    )
    recompute.add_argument("samples", type=Path, nargs="+", metavar="SAMPLES.jsonl")
    recompute.add_argument(
        "--json", action="store_true", help="print one JSON object; of several files, by file"
    )
    recompute.set_defaults(run=_recompute)
    _add_leaderboard(commands)
    _add_figures(commands)
    _add_compare(commands)
    _add_claims(commands)
    for add in more:
        add(commands)
    return parser


def _add_leaderboard(commands: Commands) -> None:
    made = commands.add_parser(
        "leaderboard",
        help="put runs of several models together: JSON, Markdown, CSV, LaTeX and HTML",
        description="Find every run under the folders and put the newest of each model and task "
        "(one of all documents before one with --limit or --offset) on one leaderboard, with "
        "95% intervals over images.",
    )
    _add_common(made)
    made.add_argument("--by", choices=("task", "metric"), default="task", help="what columns are")
    made.add_argument(
        "--metrics", type=_names, default=(), metavar="A,B", help="which metrics the tables show"
    )
    made.add_argument("--no-figures", action="store_true", help="leave the figures out")
    made.add_argument(
        "--data",
        metavar="DIR",
        help="folder of the data sets, from which flipped images are made again: as in "
        "VLM_CONFIDENCE_DATA, which is the default",
    )
    made.set_defaults(run=_later("leaderboard"))


def _add_figures(commands: Commands) -> None:
    figures = commands.add_parser(
        "figures",
        help="draw the runs' figures as PNG and SVG, with their data",
        description="Draw entropy and accuracy against noise, reliability, risk-coverage, flip "
        "rates, drift, margins and the entropy defence for every run under the folders.",
    )
    _add_common(figures)
    figures.set_defaults(run=_later("figures"))


def _add_compare(commands: Commands) -> None:
    compared = commands.add_parser(
        "compare",
        help="paired differences of two runs on the documents that both answered",
        description="Compare two runs, each a results file or a folder of one model's, on the "
        "documents that both answered: B - A with a paired 95% interval over images.",
    )
    compared.add_argument("runs", type=Path, nargs=2, metavar="RUN")
    compared.add_argument("--json", action="store_true", help="print one JSON object")
    compared.add_argument("--quiet", action="store_true", help="show no progress")
    compared.set_defaults(run=_later("compare_two"))


def _add_claims(commands: Commands) -> None:
    held = commands.add_parser(
        "claims",
        help="hold runs against nine claims of the literature: supported, refuted or undecided",
        description="Hold the newest run of each model and task against nine claims, whose tests "
        "and smallest effects are fixed (docs/claims.md): supported, refuted, undecided at this "
        "sample, or not measured, with the command that would measure it. Adjusted (Holm) for "
        "all claims and models together. Writes claims.json, claims.md and claims.html.",
    )
    held.add_argument("folders", type=Path, nargs="+", metavar="RESULTS_DIR")
    held.add_argument("--output", type=Path, required=True, metavar="DIR")
    held.add_argument(
        "--sizes",
        nargs="+",
        action="append",
        default=[],
        metavar="NAME=PARAMS",
        help="sizes of one family's models, as in small=800000 large=7B; once a family; default: "
        "read from models' names",
    )
    held.add_argument("--before", metavar="NAME", help="the model before calibration training")
    held.add_argument("--after", metavar="NAME", help="the same model after it")
    held.add_argument("--quiet", action="store_true", help="show no progress")
    held.set_defaults(run=_later("claims"))


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("folders", type=Path, nargs="+", metavar="RESULTS_DIR")
    command.add_argument("--output", type=Path, required=True, metavar="DIR")
    command.add_argument("--no-intervals", action="store_true", help="compute no intervals")
    command.add_argument("--workers", type=positive, help="processes; default: one a core")
    command.add_argument("--quiet", action="store_true", help="show no progress")


def positive(text: str) -> int:
    """Read a whole number of at least 1, for argparse."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _later(name: str) -> Callable[[argparse.Namespace], int]:
    """Return a subcommand whose packages are imported when it is run."""

    def run(options: argparse.Namespace) -> int:
        try:
            commands = importlib.import_module("vlm_confidence_tasks.report.commands")
        except ModuleNotFoundError as error:
            raise ReportError(
                f"package {error.name} is missing: pip install 'vlm_confidence_tasks[report]'"
            ) from error
        done: int = getattr(commands, name)(options)
        return done

    return run


def _numbers(file: Path) -> dict[str, float]:
    samples_file = read_samples(file)
    try:
        answers = Answers.of(samples_file.samples)
        numbers = values(answers) | inside_numbers(answers)
    except ValueError as error:
        raise SamplesError(f"{file}: {error}") from error
    if not numbers:
        raise SamplesError(f"{file}: no metric can be computed from it")
    return {**numbers, "failed": samples_file.failed} if samples_file.failed else numbers


def _recompute(options: argparse.Namespace) -> int:
    found = {str(file): _numbers(file) for file in options.samples}
    several = len(found) > 1
    if options.json:
        print(json.dumps(found if several else next(iter(found.values())), indent=2))
        return 0
    for file, numbers in found.items():
        if several:
            print(f"{file}:")
        width = max(map(len, numbers))
        for name, value in numbers.items():
            print(f"{name:<{width}}  {value!r}")
    return 0


if __name__ == "__main__":
    main()
