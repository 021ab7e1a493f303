"""Reading a samples file back into the documents that metrics are computed from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlm_confidence_tasks.metrics import Sample
from vlm_confidence_tasks.report.inputs.checked import check_row
from vlm_confidence_tasks.types import Readout


class SamplesError(ValueError):
    """A samples file cannot be read; names the file and line."""


def count_failed(path: Path) -> int:
    """Count the documents of a samples file that could not be measured.

    Args:
        path: A file that `read_samples` reads.
    """
    with path.open(encoding="utf-8", newline="\n") as lines:
        return sum(json.loads(line).get("failed") is not None for line in lines)


def read_samples(path: Path) -> list[Sample]:
    """Read the documents of a samples file that a perturbed task wrote.

    Those that failed, which a run may be allowed, are left out.

    Raises:
        SamplesError: There is no such file, it is empty, or a line is torn or is not
            from a perturbed task.
    """
    try:
        # Not str.splitlines(): it also ends lines at signs that a model's answer may hold.
        with path.open(encoding="utf-8", newline="\n") as lines:
            rows = [_read_line(line, f"{path}, line {n}") for n, line in enumerate(lines, 1)]
    except (OSError, UnicodeDecodeError) as error:
        raise SamplesError(f"{path}: cannot be read: {error}") from error
    documents = [document for document in rows if document is not None]
    if not documents:
        why = "every document in it failed" if rows else "no line in it"
        raise SamplesError(f"{path}: {why}")
    return documents


def _read_line(line: str, where: str) -> Sample | None:
    """Read a line; None if its document failed."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SamplesError(f"{where}: not JSON ({error}); was its run interrupted?") from error
    if not isinstance(row, dict) or "readouts" not in row:
        raise SamplesError(f"{where}: no readouts; is it from a task of this package?")
    if row.get("failed") is not None:
        return None
    try:
        check_row(row)
        return _document(row)
    except KeyError as error:
        raise SamplesError(f"{where}: no key {error}") from error
    except ValueError as error:
        raise SamplesError(f"{where}: {error}") from error


def _document(row: Mapping[str, Any]) -> Sample:
    clean, *variants = (Readout.from_dict(record) for record in row["readouts"])
    return Sample(
        image_id=row["image_id"],
        gold=row["gold"],
        labels=tuple(row["labels"]),
        positive=row["positive"],
        clean=clean,
        variants=tuple(variants),
        upstream_clean=row["upstream_clean"],
    )
