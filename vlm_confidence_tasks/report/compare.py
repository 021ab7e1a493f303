"""Two runs on the documents that both answered: paired differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vlm_confidence_tasks.metrics import (
    Columns,
    Metric,
    Sample,
    extract_columns,
    families_of,
    interval,
    metrics_for,
    wilcoxon_p,
)
from vlm_confidence_tasks.report.inputs.problems import Problems, ReportError
from vlm_confidence_tasks.report.inputs.runs import TaskRun, find_runs
from vlm_confidence_tasks.report.inputs.samples import SamplesError, read_samples
from vlm_confidence_tasks.report.leaderboard.selection import newest

TEST = "Wilcoxon signed-rank, two-sided, on images' mean differences"
Samples = Mapping[tuple[str, str, str], Sample]


@dataclass(frozen=True)
class Difference:
    """One metric of one task in two runs.

    Attributes:
        task: The task.
        metric: The metric.
        documents: Number of documents that both runs answered.
        a: The metric in the first run, on these.
        b: In the second.
        difference: b - a.
        low: Lower end of the difference's 95% interval, paired over images.
        high: Upper end.
        p: From `TEST`; None for a metric that is no mean over the same documents.
    """

    task: str
    metric: str
    documents: int
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class Comparison:
    """All differences of two runs, and what to know when reading them."""

    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


def compare_runs(
    runs: Sequence[Path], draws: int, problems: Problems, quiet: bool = True
) -> Comparison:
    """Compare every task that two runs share; what cannot be compared is a problem."""
    first, second = (_tasks(path, problems) for path in runs)
    shared = [task for task in first if task in second]
    if first and second and not shared:
        problems.add(runs[1], f"no task in common with {runs[0]}: {', '.join(second)} here")
    differences: list[Difference] = []
    notes = [
        f"{task}: only in {run}"
        for run, mine, others in zip(runs, (first, second), (second, first), strict=True)
        for task in mine
        if others and task not in others
    ]
    for task in tqdm(shared, desc="Tasks", disable=quiet):
        pair = (first[task], second[task])
        try:
            documents = [_documents(run.samples) for run in pair]
        except (SamplesError, ReportError) as error:
            problems.add_line(str(error))
            continue
        common = sorted(documents[0].keys() & documents[1].keys())
        if not common:
            problems.add(pair[1].samples, f"no document in common with {pair[0].samples}")
            continue
        notes += _notes(task, pair, documents, len(common))
        one, other = ([held[key] for key in common] for held in documents)
        differences += _differences(task, one, other, draws)
    return Comparison(tuple(differences), tuple(notes))


def _tasks(path: Path, problems: Problems) -> dict[str, TaskRun]:
    found, _ = newest(find_runs([path], problems))
    models = sorted({run.model.full_name for run in found})
    if len(models) > 1:
        problems.add(path, f"runs of {len(models)} models, expected one: {'; '.join(models)}")
        return {}
    return {run.task: run for run in found}


def _documents(samples: Path) -> Samples:
    """Read a samples file's documents by question, category and image.

    POPE counts its questions anew in each category, about the same images.

    Raises:
        ReportError: Two rows are the same question on the same image.
    """
    rows = read_samples(samples).rows
    keys = [(row.question_id, row.category, row.image_sha256) for row in rows]
    documents = dict(zip(keys, (row.sample for row in rows), strict=True))
    if len(documents) != len(keys):
        line = next(n for n, key in enumerate(keys, start=1) if key in keys[: n - 1])
        raise ReportError(f"{samples}, line {line}: question {keys[line - 1][0]} is there twice")
    return documents


def _notes(
    task: str, runs: Sequence[TaskRun], documents: Sequence[Samples], common: int
) -> Iterator[str]:
    sizes = [len(held) for held in documents]
    if sizes != [common, common]:
        yield f"{task}: {common} documents in common, of {sizes[0]} and {sizes[1]}"
    for key in ("perturbations", "max_side", "generation_kwargs", "vlm_confidence_tasks"):
        values = [run.config.get(key) for run in runs]
        if values[0] != values[1]:
            yield f"{task}: {key} differs: {values[0]} and {values[1]}"


def _differences(
    task: str, first: Sequence[Sample], second: Sequence[Sample], draws: int
) -> Iterator[Difference]:
    for name, metric in metrics_for(families_of([*first, *second])).items():
        one, other = (extract_columns(metric, samples) for samples in (first, second))
        a, b = (metric.reduce(columns.values) for columns in (one, other))
        if a is None or b is None:
            continue
        found = interval(metric, _paired(one, other), draws)
        low, high = (found.low, found.high) if found else (None, None)
        p = _p(metric, first, second)
        yield Difference(task, name, len(first), a, b, b - a, low, high, p)


def _paired(one: Columns, other: Columns) -> Columns:
    return Columns(
        values=[*one.values, *other.values],
        clusters=[*one.clusters, *other.clusters],
        paired=[False] * len(one.values) + [True] * len(other.values),
    )


def _p(metric: Metric, first: Sequence[Sample], second: Sequence[Sample]) -> float | None:
    by_image: dict[str, list[float]] = defaultdict(list)
    for one, other in zip(first, second, strict=True):
        a, b = metric.extract(one), metric.extract(other)
        if (a is None) != (b is None):
            return None
        if a is None or b is None:
            continue
        if "score" not in a:
            return None
        by_image[one.image_id].append(b["score"] - a["score"])
    return (
        wilcoxon_p([sum(group) / len(group) for group in by_image.values()]) if by_image else None
    )


def to_text(comparison: Comparison) -> str:
    """Write a comparison for a terminal."""
    heads = ("task", "metric", "n", "A", "B", "B - A", "95% interval", "p")
    rows = [heads, *(_cells(difference) for difference in comparison.differences)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines += ["", f"p: {TEST}, for means over the same documents; not adjusted for their number."]
    lines += ["Intervals: paired bootstrap over images."]
    return "\n".join([*lines, *(f"Note: {note}" for note in comparison.notes)])


def _cells(row: Difference) -> tuple[str, ...]:
    ends = "" if row.low is None else f"[{row.low:+.4f}, {row.high:+.4f}]"
    p = "" if row.p is None else f"{row.p:.3g}"
    numbers = (f"{row.a:.4f}", f"{row.b:.4f}", f"{row.difference:+.4f}")
    return row.task, row.metric, str(row.documents), *numbers, ends, p


def to_record(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON types."""
    return {
        "test": TEST,
        "differences": [vars(difference) for difference in comparison.differences],
        "notes": list(comparison.notes),
    }
