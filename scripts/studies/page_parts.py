"""What the scripts that write pages share: samples of a run, and a number in a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlm_confidence_tasks.metrics import Number, Sample
from vlm_confidence_tasks.report.inputs.samples import read_samples
from vlm_confidence_tasks.types import Readout

# Where the pages lie.
STUDIES = Path(__file__).resolve().parents[2] / "docs" / "studies"


def samples_file(results: Path, task: str) -> Path:
    """Return the samples file of a task, of which the folder holds one run.

    Raises:
        SystemExit: It holds none, or several.
    """
    files = list(results.rglob(f"*_samples_{task}.jsonl"))
    if len(files) != 1:
        raise SystemExit(f"{results}: needs one run of {task} with --log_samples, has {len(files)}")
    return files[0]


def samples_of(results: Path, task: str) -> list[Sample]:
    """Read the samples of a task, of which the folder holds one run."""
    return read_samples(samples_file(results, task)).samples


def is_evaluated(results: Path) -> bool:
    """Whether a run was written into a folder to its end."""
    return any(results.rglob("*_results.json"))


def entropy(readout: Readout) -> float:
    """Return an answer's entropy, which every answer of the embedded model has.

    Raises:
        ValueError: This one has none.
    """
    if readout.entropy is None:
        raise ValueError(f"{readout.variant}: no entropy in the samples")
    return readout.entropy


def cell(joined: Number | None, each: Sequence[Number | None] = ()) -> str:
    """Return a number with its interval, "-" for none; of several models, each one's own too."""
    if joined is None:
        return "-"
    ends = "" if joined.low is None else f" [{joined.low:.3f}, {joined.high:.3f}]"
    own = ", ".join("-" if number is None else f"{number.value:.3f}" for number in each)
    return f"{joined.value:.3f}{ends}" + (f" ({own})" if len(each) > 1 else "")
