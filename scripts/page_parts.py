"""What the scripts that write pages share: samples of a run, and a number in a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlm_confidence_tasks.metrics import Number, Sample
from vlm_confidence_tasks.report.inputs.samples import read_samples


def samples_of(results: Path, task: str) -> list[Sample]:
    """Read the samples of a task, of which the folder holds one run."""
    (file,) = results.rglob(f"*_samples_{task}.jsonl")
    return read_samples(file).samples


def cell(joined: Number | None, each: Sequence[Number | None] = ()) -> str:
    """Return a number with its interval, "-" for none; of several models, each one's own too."""
    if joined is None:
        return "-"
    ends = "" if joined.low is None else f" [{joined.low:.3f}, {joined.high:.3f}]"
    own = ", ".join("-" if number is None else f"{number.value:.3f}" for number in each)
    return f"{joined.value:.3f}{ends}" + (f" ({own})" if len(each) > 1 else "")
