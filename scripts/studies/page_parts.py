"""What the scripts that write pages share: answers of a run, numbers and tables."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from vlm_confidence_tasks.metrics import Answers, Interval, Number, Sample, mean_interval, measure
from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.report.formats.markdown import line
from vlm_confidence_tasks.report.inputs.samples import read_samples
from vlm_confidence_tasks.types import Readout, Scalar

# Numbers by metric.
Numbers = Mapping[str, Number | None]
# Where the pages lie.
STUDIES = Path(__file__).resolve().parents[2] / "docs" / "studies"


def folders(text: str, **helps: str) -> list[Path]:
    """Read the folders that a command names.

    Args:
        text: The script's docstring.
        helps: What each folder is of.
    """
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    for name, help_ in helps.items():
        parser.add_argument(name, type=Path, help=help_)
    return list(vars(parser.parse_args()).values())


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
    return list(read_samples(samples_file(results, task)).samples)


def answers_of(results: Path, task: str) -> Answers:
    """Read the table of a task, of which the folder holds one run."""
    return Answers.of(samples_of(results, task))


def only(samples: Iterable[Sample], family: str = "", **parameters: Scalar) -> list[Sample]:
    """Leave in the variants of a family, or with some parameters."""

    def wanted(readout: Readout) -> bool:
        named = not family or readout.family == family
        return named and parameters.items() <= readout.parameters.items()

    return [replace(s, variants=tuple(filter(wanted, s.variants))) for s in samples]


def is_evaluated(results: Path) -> bool:
    """Whether a run was written into a folder to its end."""
    return any(results.rglob("*_results.json"))


def mean_of(
    values: Floats, images: Ints, of: Callable[..., Interval | None] = mean_interval, **options: Any
) -> Number | None:
    """Return the mean of rows' numbers, NaN left out, with its interval; None without any."""
    known = ~np.isnan(values)
    if not known.any():
        return None
    found = of(values[known], np.ones(np.count_nonzero(known)), images[known], **options)
    return bounded(float(values[known].mean()), found)


def bounded(value: float, found: Interval | None) -> Number:
    """Return a number with the ends of its interval, if it has one."""
    return Number(value) if found is None else Number(value, found.low, found.high)


def cell(number: Number | None, each: Sequence[Number | None] = (), digits: str = ".3f") -> str:
    """Return a number with its interval, "-" for none; of several models, each one's own too."""
    if number is None:
        return "-"
    ends = "" if number.low is None else f" [{number.low:{digits}}, {number.high:{digits}}]"
    own = ", ".join("-" if one is None else f"{one.value:{digits}}" for one in each)
    return f"{number.value:{digits}}{ends}" + (f" ({own})" if len(each) > 1 else "")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    for number, cells in enumerate((heads, *rows)):
        yield line(cells).replace("|  |", "| |")
        if not number:
            yield "|---" * len(heads) + "|"


def measured(
    models: Sequence[Sequence[Sample]], names: Sequence[str]
) -> tuple[Numbers, list[Numbers]]:
    """Measure the answers of several models together, and each model's."""
    joined = [sample for samples in models for sample in samples]
    whole, *each = (measure(Answers.of(samples), names) for samples in (joined, *models))
    return whole, each


def metric_table(
    corner: str, names: Sequence[str], rows: Mapping[str, tuple[Numbers, Sequence[Numbers]]]
) -> Iterator[str]:
    """Yield the lines of a table of metrics, of rows as `measured` gives them."""
    cells = (
        [title, *(cell(whole.get(name), [one.get(name) for one in each]) for name in names)]
        for title, (whole, each) in rows.items()
    )
    return table([corner, *(f"`{name}`" for name in names)], cells)
