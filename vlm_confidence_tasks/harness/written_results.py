"""Reads back the files that the harness wrote, since it only logs it when it could not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from lmms_eval.utils import handle_non_serializable

from vlm_confidence_tasks.harness.partial_results import partial_folder


def check_written(
    output: Path,
    model_args: str | None,
    results: Mapping[str, Any],
    samples: Mapping[str, Sequence[Mapping[str, Any]]],
    since: float,
) -> None:
    """Check that a run's files hold what the harness gave it to write, to the last byte.

    Args:
        output: The run's `--output_path`.
        model_args: The model's arguments, which name the folder.
        results: What the results file holds.
        samples: Of each task whose samples were to be written, the rows.
        since: Start of the run, in seconds since the epoch.

    Raises:
        RuntimeError: A file is missing or cut, or holds something else.
    """
    partial = partial_folder(output, model_args)
    begin = f"{str(results['date']).replace(':', '-')}_"
    written = {f"{begin}results.json": io.BytesIO(_dumped(results, indent=2))}
    rows = {f"{begin}samples_{task}.jsonl": _lines(own) for task, own in samples.items()}
    for name, lines in {**written, **rows}.items():
        wrong = _difference(partial.parent / name, lines)
        if wrong is not None:
            raise RuntimeError(
                f"the results were not written: {partial.parent / name} {wrong}; is the folder "
                f"writable and the disk not full? {_kept(partial, results['configs'], since)}"
            )


def _lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    return (_dumped(row) + b"\n" for row in rows)


def _dumped(value: Any, indent: int | None = None) -> bytes:
    text = json.dumps(value, indent=indent, default=handle_non_serializable, ensure_ascii=False)
    # What UTF-8 cannot hold the harness could not write: its file differs.
    return text.encode(errors="surrogatepass")


def _difference(file: Path, expected: Iterable[bytes]) -> str | None:
    """Say how a file differs from the lines that were to be in it, None if it does not."""
    try:
        with file.open("rb") as lines:
            for number, (line, right) in enumerate(zip_longest(lines, expected), 1):
                if line != right:
                    return f"is not whole: line {number} is {_wrong(line, right)}"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def _wrong(line: bytes | None, right: bytes | None) -> str:
    if line is None:
        return "missing"
    cut = right is not None and right.startswith(line)
    return "cut off" if cut else "not what the run gave to write"


def _kept(partial: Path, tasks: Iterable[str], since: float) -> str:
    """Name the partial results that this run wrote, and the tasks without."""

    def is_new(file: Path) -> bool:
        # File systems store times with less precision than the clock.
        return file.is_file() and file.stat().st_mtime > since - 2

    files = {task: [partial / f"{task}{end}" for end in (".json", ".jsonl")] for task in tasks}
    kept = [str(file) for own in files.values() for file in own if is_new(file)]
    lost = [task for task, (file, _) in files.items() if not is_new(file)]
    whole = f"Whole are the partial results {', '.join(kept)}. " if kept else ""
    again = "with --use_cache DIR the same command goes on from the answers that it keeps"
    return whole + (f"There are none of {', '.join(lost)}: {again}" if lost else "")
