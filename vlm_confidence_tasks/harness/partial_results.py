"""Writes results and samples of each task as soon as it is complete, while others still run.

The files are in `partial/` beside the run's own files, which are written at the end with the
same numbers. `TASK.jsonl` is a samples file, `TASK.json` holds the results.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from lmms_eval.loggers.evaluation_tracker import GeneralConfigTracker
from lmms_eval.utils import handle_non_serializable

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.harness.task import PerturbedTask
from vlm_confidence_tasks.metrics import Answers, values
from vlm_confidence_tasks.types import Sample

FOLDER = "partial"


@dataclass(frozen=True)
class PartialResults:
    """Where and by which processes partial results are written.

    Attributes:
        folder: Folder of the files.
        samples: Whether `--log_samples` was given.
        rank: Rank of this process.
        ranks: Number of processes; each writes its part, and the last one joins the parts.
    """

    folder: Path
    samples: bool
    rank: int
    ranks: int

    @classmethod
    def of(cls, cli_args: Any, rank: int, ranks: int) -> PartialResults | None:
        """Read the harness's arguments; None without `--output_path`."""
        output = getattr(cli_args, "output_path", None)
        if not output:
            return None
        folder = partial_folder(Path(output), getattr(cli_args, "model_args", None))
        return cls(folder, bool(getattr(cli_args, "log_samples", False)), rank, ranks)

    def begin(self, tasks: Iterable[str]) -> None:
        """Make the folder, and remove parts of an earlier run.

        Raises:
            TaskError: The folder cannot be written; raised before the run rather than after.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for task in tasks:
                self._part(task, self.rank).unlink(missing_ok=True)
        except OSError as error:
            raise TaskError(
                f"the results cannot be written ({error}); give another --output_path"
            ) from error

    def write(self, task: PerturbedTask, documents: Sequence[int]) -> Path | None:
        """Write a task's results and samples, each file atomically.

        Args:
            task: A task that is complete in this process.
            documents: Indices of its documents in this process.

        Returns:
            The results file; None if the task is not complete in other processes.

        Raises:
            OSError: It cannot be written.
        """
        name = str(task.task_name)
        held = [_Document.of(task, document) for document in documents]
        if self.ranks > 1:
            _replace(self._part(name, self.rank), [msgspec.msgpack.encode(held)])
            parts = [self._part(name, rank) for rank in range(self.ranks)]
            if not all(part.exists() for part in parts):
                return None
            read = msgspec.msgpack.Decoder(list[_Document]).decode
            held = [document for part in parts for document in read(part.read_bytes())]
            held.sort(key=lambda document: document.index)
        if self.samples:
            _replace(self.folder / f"{name}.jsonl", (_dumps(document.row) for document in held))
        results = self.folder / f"{name}.json"
        _replace(results, [json.dumps(_results(task, held), indent=2).encode(), b"\n"])
        return results

    def _part(self, task: str, rank: int) -> Path:
        return self.folder / f"{task}.rank{rank}of{self.ranks}"


def partial_folder(output: Path, model_args: str | None) -> Path:
    """Return the folder of a run's partial results, beside its other files."""
    tracker = GeneralConfigTracker()
    tracker.log_experiment_args("", str(model_args or ""), "", "", False)
    return output / str(tracker.model_name_sanitized) / FOLDER


def remove_partial(output: Path, model_args: str | None, tasks: Iterable[str]) -> None:
    """Remove the partial results of tasks whose results are written, killed runs' files too."""
    folder = partial_folder(output, model_args)
    for task in tasks:
        for ending in ("json*", "rank*"):
            for file in folder.glob(f"{task}.{ending}"):
                file.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


class _Document(msgspec.Struct):
    """A document of a process's part: its answers, or the row that says why there are none."""

    index: int
    sample: Sample | None
    failed: dict[str, Any] | None

    @classmethod
    def of(cls, task: PerturbedTask, index: int) -> _Document:
        """Read a document that this process measured, or that failed."""
        evaluation, name = task.evaluation, str(task.task_name)
        assert evaluation is not None
        failure = evaluation.failure(name, index)
        if failure is not None:
            return cls(index, None, task.row(index, failure))
        return cls(index, evaluation.samples(name)[index], None)

    @property
    def row(self) -> dict[str, Any]:
        """Its row of the samples file."""
        row = self.failed if self.sample is None else self.sample.to_dict()
        return {"doc_id": self.index, **(row or {})}


def _results(task: PerturbedTask, held: Sequence[_Document]) -> dict[str, Any]:
    samples = [document.sample for document in held if document.sample is not None]
    failed = [(document.index, document.failed) for document in held if document.failed]
    return {
        "task": str(task.task_name),
        "documents": len(held),
        "results": values(Answers.of(samples), [metric.name for metric in task.listed]),
        "failed": [{"document": index, "error": row["failed"]} for index, row in failed],
        "config": json.loads(json.dumps(task.dump_config(), default=handle_non_serializable)),
    }


def _dumps(value: Any) -> bytes:
    return json.dumps(value, default=handle_non_serializable, ensure_ascii=False).encode() + b"\n"


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file under a temporary name and rename it, so that it is never incomplete."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as stream:
            stream.writelines(parts)
        os.replace(unfinished, path)
    except OSError:
        # A disk that is full has no room for what nobody can read.
        unfinished.unlink(missing_ok=True)
        raise
