"""Finding the harness's runs in folders, and reading their results files."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from vlm_confidence_tasks.report.inputs.model_names import Model
from vlm_confidence_tasks.report.inputs.problems import Problems, ReportError

RESULTS = "_results.json"
# A task's configuration holds this key if and only if it is a perturbed task of ours.
OWN_KEY = "vlm_confidence_tasks"
# Of a task's configuration: what decides what was asked, and how answers were read.
CONDITIONS = ("perturbations", "max_side", "generation_kwargs", OWN_KEY)
# A task's results hold this number if and only if it follows the code of "The Confidence Trap".
TRAP_NUMBER = "trap_entropy,none"

Count = Annotated[int, Meta(ge=0, le=2**53)]
# NaN and infinity are no JSON.
Finite = Annotated[float, Meta(ge=-1e308, le=1e308)]
Scalar = bool | int | Finite | str | None


class ListedMetric(msgspec.Struct, frozen=True):
    """An entry of a task's `metric_list`."""

    metric: str


class Data(msgspec.Struct, frozen=True):
    """Where a task's data was, and how many documents it has."""

    source: str
    documents: Count


class TaskConfig(msgspec.Struct, frozen=True):
    """A task's configuration, as far as reports read it; defaults are what older files lack.

    Attributes:
        vlm_confidence_tasks: The version of this package; None for a task of "The Confidence Trap".
    """

    vlm_confidence_tasks: str | None = None
    benchmark: str | None = None
    perturbations: list[str] | None = None
    max_side: Count | None = None
    generation_kwargs: dict[str, Scalar | list[Scalar] | dict[str, Scalar]] | None = None
    metric_list: list[ListedMetric] | None = None
    versions: dict[str, str | None] | None = None
    data: Data | None = None


class _Options(msgspec.Struct):
    """The harness's options that say what was run."""

    model: str
    model_args: str | dict[str, Any] | None = None
    # -1 is the harness's other word for all.
    limit: Annotated[float, Meta(ge=-1, le=2**53)] | None = None
    offset: Count | None = None


class _Results(msgspec.Struct):
    """A results file; what it says of tasks of others may be anything."""

    results: dict[str, Any]
    configs: dict[str, Any]
    config: _Options
    date: str | None = None
    lmms_eval_version: str | None = None


class CutResults(ReportError):
    """A results file that is no JSON, as when its run was killed while it was written."""


@dataclass(frozen=True)
class TaskRun:
    """One task of one run of the harness.

    Attributes:
        date: When the run was written, as the harness writes it; sorts as text.
        samples: The samples file beside it.
        limit: The run's `--limit`, None for the whole benchmark.
        offset: The run's `--offset`: how many documents it passed over.
    """

    model: Model
    task: str
    date: str
    results: Path
    samples: Path
    numbers: Mapping[str, float]
    config: TaskConfig
    limit: float | None
    offset: int
    lmms_eval: str

    @property
    def whole(self) -> bool:
        """Whether it is of all documents of its task."""
        return not self.part

    @property
    def part(self) -> str:
        """The options that make it a run of a part of its task's documents, "" for none."""
        limit = [] if self.limit is None else [f"--limit {self.limit:g}"]
        return ", ".join([*limit, *([f"--offset {self.offset}"] if self.offset else [])])

    @property
    def is_trap(self) -> bool:
        """Whether it follows the code of "The Confidence Trap": `read_trap_samples` reads it."""
        return self.config.vlm_confidence_tasks is None

    @property
    def versions(self) -> dict[str, str | None]:
        """The versions that the numbers were made with; None where the run recorded none."""
        known = self.config.versions or {}
        return {
            OWN_KEY: self.config.vlm_confidence_tasks,
            "lmms_eval": self.lmms_eval,
            "torch": known.get("torch"),
            "transformers": known.get("transformers"),
        }


def find_runs(folders: Iterable[Path], problems: Problems, traps: bool = False) -> list[TaskRun]:
    """Read every results file under the folders; what cannot be read is a problem.

    A folder may also be a results file itself. Tasks of other packages are left alone; those that
    follow the code of "The Confidence Trap" (`traps`) are no perturbed tasks and have other
    samples.
    """
    runs: dict[tuple[Path, str], TaskRun] = {}
    unread: list[tuple[Path, ReportError]] = []
    for folder in folders:
        for file in _results_files(folder, problems):
            try:
                read = list(_read_results(file))
            except ReportError as error:
                unread.append((file, error))
                continue
            found = [run for run in read if traps or not run.is_trap]
            if not found:
                problems.add(file, "no task of this package in it")
            runs.update({(file.resolve(), run.task): run for run in found})
    kept = [run for run in runs.values() if _has_samples(run)]
    for file, why in unread:
        beside = (run.results for run in kept if run.results.parent == file.parent)
        later = any(results.name > file.name for results in beside)
        _add(str(why), isinstance(why, CutResults) and later, problems)
    for run in runs.values():
        if not _has_samples(run):
            dates = (k.date for k in kept if (k.model, k.task) == (run.model, run.task))
            _add(_without_samples(run), any(date > run.date for date in dates), problems)
    return kept


def _add(line: str, replaced: bool, problems: Problems) -> None:
    """Add what is wrong with a run; one that a later run replaces may have been killed."""
    if replaced:
        problems.note(f"{line}; a later run beside it is whole, so that this one is left out")
    else:
        problems.add_line(line)


def run_of(samples: Path) -> TaskRun | None:
    """Return the run that a samples file is of, by the results file beside it; None without one.

    Raises:
        ReportError: The results file cannot be used.
    """
    for file in sorted(samples.parent.glob(f"*{RESULTS}")):
        if samples.name.startswith(f"{file.name.removesuffix(RESULTS)}_samples_"):
            for run in _read_results(file):
                if run.samples.name == samples.name and not run.is_trap:
                    return run
    return None


def _results_files(folder: Path, problems: Problems) -> list[Path]:
    if not folder.is_dir():
        if not folder.exists():
            problems.add(folder, "no such folder")
            return []
        if not folder.name.endswith(RESULTS):
            problems.add(folder, f"give a folder, or a results file: one named *{RESULTS}")
            return []
        return [folder]
    files = sorted(folder.rglob(f"*{RESULTS}"))
    if not files:
        problems.add(folder, f"no run in it: no file *{RESULTS}")
    return files


def _has_samples(run: TaskRun) -> bool:
    try:
        return run.samples.is_file()
    except OSError:
        # The task's name is too long for a file.
        return False


def _without_samples(run: TaskRun) -> str:
    return (
        f"{run.results}: no samples of {run.task}: no file {run.samples.name} beside it; was the "
        "run made without --log_samples?"
    )


def _read_results(file: Path) -> Iterator[TaskRun]:
    if file.exists() and not file.is_file():
        # A pipe would keep the command waiting.
        raise ReportError(f"{file}: is no regular file")
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise CutResults(f"{file}, line {error.lineno}: not JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise CutResults(f"{file}: cannot be read: {error}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ReportError(f"{file}: cannot be read: {error}") from error
    try:
        # What cannot be written cannot be shown: half of a surrogate pair.
        json.dumps(record, ensure_ascii=False).encode()
        read = msgspec.convert(record, _Results)
        for task, config in read.configs.items():
            if OWN_KEY in config or TRAP_NUMBER in read.results.get(task, ()):
                if task not in read.results:
                    raise LookupError(f"no results of {task}")
                yield _task_run(file, read, task)
    except (msgspec.ValidationError, LookupError, TypeError, ValueError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ReportError(f"{file}: not a results file of the harness ({what})") from error


def _task_run(file: Path, record: _Results, task: str) -> TaskRun:
    stem = file.name.removesuffix(RESULTS)
    options = record.config
    return TaskRun(
        model=Model.of(options.model, options.model_args),
        task=task,
        date=record.date or stem,
        results=file,
        samples=file.with_name(f"{stem}_samples_{task}.jsonl"),
        numbers=_numbers(msgspec.convert(record.results[task], dict[str, Any])),
        config=msgspec.convert(record.configs[task], TaskConfig),
        limit=None if options.limit == -1 else options.limit,
        offset=options.offset or 0,
        lmms_eval=record.lmms_eval_version or "",
    )


def _numbers(results: Mapping[str, Any]) -> dict[str, float]:
    """Pick a task's metrics, without their errors and without those that are absent."""
    numbers = {}
    for key, value in results.items():
        name, comma, _ = key.partition(",")
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if comma and "_stderr" not in name and is_number:
            numbers[name] = msgspec.convert(value, float)
    return numbers
