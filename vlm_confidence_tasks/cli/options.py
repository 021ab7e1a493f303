"""Options that several commands of `vlm-confidence` have, and how they are read."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from vlm_confidence_tasks.report.inputs.problems import ReportError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

# How the files end that are written into an `--output`.
PAGES = {".json", ".md", ".html", ".csv", ".tex", ".png", ".svg"}


def positive(text: str) -> int:
    """Read a whole number of at least 1, for argparse."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """Read names with commas between them, for argparse."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def add_folders(command: argparse.ArgumentParser) -> None:
    """Add the folders of runs, and the one to write into."""
    command.add_argument("folders", type=Path, nargs="+", metavar="RESULTS_DIR")
    command.add_argument("--output", type=Path, required=True, metavar="DIR")


def add_measuring(command: argparse.ArgumentParser) -> None:
    """Add how the runs' numbers are computed."""
    command.add_argument("--no-intervals", action="store_true", help="compute no intervals")
    command.add_argument("--workers", type=positive, help="processes; default: one a core")
    add_quiet(command)


def add_quiet(command: argparse.ArgumentParser) -> None:
    """Add whether progress is shown."""
    command.add_argument("--quiet", action="store_true", help="show no progress")


def check_folder(output: Path, folders: Sequence[str] = ()) -> None:
    """Refuse an `--output` that could not be written, before anything is computed.

    Args:
        output: The folder.
        folders: Those that are made in it: a link there would lead out of it.

    Raises:
        ReportError: It is no folder, or cannot be made, or has something else where a page or
            folder is to be.
    """
    there = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ReportError(f"--output {output}: {there} is a file; give a folder")
    if not os.access(there, os.W_OK):
        raise ReportError(f"--output {output}: {there} cannot be written; give another folder")
    for inside in output.glob("*.*"):
        if inside.is_dir() and inside.suffix in PAGES:
            raise ReportError(f"--output {output}: {inside} is no file; give another folder")
    for inside in (output / name for name in folders):
        if inside.is_symlink() or (inside.exists() and not inside.is_dir()):
            raise ReportError(f"--output {output}: {inside} is no folder; give another folder")
