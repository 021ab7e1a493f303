"""The `vlm-confidence` command: each file but `options` is one of its commands.

Such a file has `add`, which adds the command's words and options to a parser, and `run`, which does
what they ask for and returns the exit code. What takes long to import is imported in `run`, so that
no command waits for the packages of another.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from vlm_confidence_tasks import __version__
from vlm_confidence_tasks.cli import (
    claims,
    compare,
    csp,
    export,
    figures,
    leaderboard,
    plan,
    power,
    recompute,
    verify,
)
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.report.inputs.problems import ReportError

# In the order of `--help`.
COMMANDS = (
    recompute,
    leaderboard,
    figures,
    compare,
    verify,
    claims,
    power,
    export,
    plan,
    csp,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exits with 1 and one line for each problem on bad input.

    Args:
        arguments: Its arguments; None: those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="vlm-confidence",
        description="Work on what perturbed tasks left in samples "
        "files, and plan what they will cost.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except (ReportError, TaskError, OSError) as error:
        sys.exit(f"vlm-confidence: error: {' '.join(str(error).split())}")
    if code:
        sys.exit(code)
