"""All answers of runs as one table for pandas, polars or R: one row per answer, every number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from vlm_confidence_tasks.metrics import BANDS, CHANNELS, Answers
from vlm_confidence_tasks.metrics.answers import COLUMNS
from vlm_confidence_tasks.report.formats.csv import inert
from vlm_confidence_tasks.report.formats.whole import replacing
from vlm_confidence_tasks.report.inputs.held_samples import read_held
from vlm_confidence_tasks.report.inputs.problems import Problems, ReportError
from vlm_confidence_tasks.report.inputs.runs import TaskRun, find_runs
from vlm_confidence_tasks.report.leaderboard.selection import newest
from vlm_confidence_tasks.types import Readout, Sample

# Columns that the run, the document or the readout has as text.
IDENTITY = {
    "model": "the model and its arguments",
    "run": "the results file",
    "task": "the task",
    "document": "place of the document in the samples file",
    "question_id": "the document's id in the data set",
    "category": "the benchmark's own sub-category",
    "image_id": "name of the image: the cluster of intervals",
    "image_sha256": "digest of the image as it was shown",
    "clean": "whether the image was shown unchanged",
    "perturbation": "name of the perturbation",
    "parameters": "its parameters, as JSON",
    "seed": "its seed",
    "family": "its family, empty if clean",
    "control": "whether it is a control condition",
    "text": "the answer as the adapter returned it",
    "answer": "the label that was read from it",
    "gold": "the right answer",
    "labels": "the closed set of answers, as JSON",
    "option_answer": "the likeliest option",
}
# Columns of the table of answers that the text columns stand for, or that are numbers of rows.
_LEFT_OUT = frozenset(
    ("document", "position", "image", "row", "clean_row", "family", "answer", "gold", "goal")
    + ("attack_kind", "attack_setting", "option_mean_answer", "second_half", "uniform")
)
_PARTS: dict[str, Sequence[str]] = {
    **dict.fromkeys(("drift", "distance", "control", "control_same"), CHANNELS),
    "spectrum": BANDS,
}
_LISTS = ("probs", "option_scores", "layer_entropy")


def described() -> dict[str, str]:
    """Return what each column of an exported table holds, by name and in order."""
    numbers: dict[str, str] = {}
    for name, text in COLUMNS.items():
        if name in _PARTS:
            numbers |= {_part(name, part): text.split(", [")[0] for part in _PARTS[name]}
        elif name not in _LEFT_OUT:
            numbers[name] = text.replace("[N, ", "[")
    return {**IDENTITY, **numbers}


def _part(name: str, part: str) -> str:
    return f"{name}_{part}"


def answers(results: Path | str | Iterable[Path | str]) -> pa.Table:
    """Read the answers of the newest run of each model and task as one table.

    Args:
        results: Folders of runs, or results files.

    Returns:
        One row per answer, the clean one of a document first; absent numbers are null.
        `described` says what each column holds.

    Raises:
        ReportError: There is no run, or one cannot be read.
    """
    folders = [results] if isinstance(results, Path | str) else list(results)
    problems = Problems()
    runs, _ = newest(find_runs([Path(folder) for folder in folders], problems))
    if problems.lines:
        raise ReportError(problems.lines[0])
    # A column that is null in a whole run has no type of its own.
    return pa.concat_tables(map(_table, runs), promote_options="default")


def _table(run: TaskRun) -> pa.Table:
    held = read_held(run)
    samples, table = held.file.samples, held.answers
    place = table.documents.position.tolist()
    rows = [(n, samples[n], r) for n in place for r in (samples[n].clean, *samples[n].variants)]
    texts = [_identity(run, *row) for row in rows]
    columns = {name: pa.array([text[n] for text in texts]) for n, name in enumerate(IDENTITY)}
    return pa.table({**columns, **dict(_numbers(table))})


def _identity(run: TaskRun, place: int, sample: Sample, readout: Readout) -> tuple[Any, ...]:
    return (
        run.model.full_name,
        run.results.name,
        run.task,
        place,
        sample.question_id,
        sample.category,
        sample.image_id,
        readout.image_sha256,
        readout is sample.clean,
        readout.perturbation,
        json.dumps(dict(readout.parameters)),
        readout.seed,
        readout.family,
        readout.control,
        readout.text,
        readout.answer,
        sample.gold,
        json.dumps(list(sample.labels)),
        readout.loglik_answer,
    )


def _numbers(table: Answers) -> Iterator[tuple[str, pa.Array]]:
    for name in COLUMNS:
        held = getattr(table, name)
        if name in _PARTS:
            for part, column in zip(_PARTS[name], held.T, strict=True):
                yield _part(name, part), pa.array(column, from_pandas=True)
        elif name in _LISTS:
            known = [row[~np.isnan(row)] for row in held]
            yield name, pa.array([row if row.size else None for row in known])
        elif name not in _LEFT_OUT:
            yield name, pa.array(held, from_pandas=True)


def check_name(output: Path) -> None:
    """Refuse a file that cannot be written, before anything is read.

    Raises:
        ReportError: Its name ends in neither `.parquet` nor `.csv`, or its folder is missing.
    """
    if output.suffix not in (".parquet", ".csv"):
        raise ReportError(f"--output {output}: expected a name that ends in .parquet or .csv")
    if not output.absolute().parent.is_dir():
        raise ReportError(f"--output {output}: there is no folder {output.parent}")


def write(table: pa.Table, output: Path) -> None:
    """Write a table as Parquet, or as CSV with lists as JSON."""
    with replacing(output.absolute().parent) as new:
        if output.suffix == ".parquet":
            pyarrow.parquet.write_table(table, new / output.name, compression="zstd")
        else:
            pyarrow.csv.write_csv(_flat(table), new / output.name)


def _flat(table: pa.Table) -> pa.Table:
    """Turn lists into JSON, and keep spreadsheets from taking texts for formulas."""
    for place, (name, kind) in enumerate(zip(table.column_names, table.schema.types, strict=True)):
        made = json.dumps if name in _LISTS else inert if pa.types.is_string(kind) else None
        if made is not None:
            texts = [None if value is None else made(value) for value in table[name].to_pylist()]
            table = table.set_column(place, name, pa.array(texts, pa.string()))
    return table
