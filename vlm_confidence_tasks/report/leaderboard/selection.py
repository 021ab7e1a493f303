"""Which run counts for a model and task, and which runs may share a column."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from vlm_confidence_tasks.report.inputs.copies import copies
from vlm_confidence_tasks.report.inputs.model_names import Model
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import TaskRun
from vlm_confidence_tasks.report.leaderboard.summary import Summary

Summarised = tuple[TaskRun, Summary]


def newest(runs: Iterable[TaskRun]) -> tuple[list[TaskRun], list[TaskRun]]:
    """Split runs into the newest of each model and task, and those that it replaces.

    A run of a part (`--limit`, `--offset`) never replaces one of all documents: a smoke run
    in the same folder does not cost a model its numbers.
    """
    groups: dict[tuple[Model, str], list[TaskRun]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.whole, run.date, str(run.results))):
        groups[run.model, run.task].append(run)
    older = [run for group in groups.values() for run in group[:-1]]
    return [group[-1] for group in groups.values()], older


@dataclass(frozen=True)
class Setting:
    """What must agree for numbers to be compared; the fields' order is that of notes."""

    perturbations: tuple[str, ...]
    max_side: int | None
    limit: float | None
    offset: int
    data: str
    documents: int
    generation: str
    version: str

    @classmethod
    def of(cls, run: TaskRun, summary: Summary) -> Setting:
        """Return the setting of a run."""
        return cls(
            perturbations=tuple(run.config.perturbations or ()),
            max_side=run.config.max_side,
            limit=run.limit,
            offset=run.offset,
            data=summary.digest,
            documents=summary.documents,
            generation=json.dumps(run.config.generation_kwargs or {}, sort_keys=True),
            version=str(run.config.vlm_confidence_tasks),
        )

    def describe(self, name: str) -> str:
        """Say one of the fields in words."""
        value = getattr(self, name)
        if name == "limit":
            return "no --limit" if value is None else f"--limit {value:g}"
        if name == "offset":
            return f"--offset {value}" if value else "no --offset"
        if name == "max_side":
            return "images as they are" if value is None else f"images of at most {value} px"
        texts = {
            "perturbations": f"perturbations {', '.join(self.perturbations)}",
            "data": f"data {self.data[:8]}",
            "documents": f"{value} documents",
            "generation": f"generation {value}",
            "version": f"plugin version {value}",
        }
        return texts[name]


@dataclass(frozen=True)
class Column:
    """Runs of one task that may be compared.

    Attributes:
        id: The task's name, numbered where the task has several columns.
        setting: What all of its runs share.
        note: What sets it apart; "" if nothing does.
    """

    id: str
    task: str
    setting: Setting
    note: str


def without_copies(summarised: Sequence[Summarised], problems: Problems) -> list[Summarised]:
    """Leave out each run whose answers and numbers are those of another model in its column.

    Of equal runs the first by the models' names counts. One checkpoint on several engines is
    declared by its name: such runs stay and are noted, as are copies in other columns.
    """
    ordered = sorted(summarised, key=lambda pair: (pair[0].model.short_name, pair[0].model))
    left_out = set()
    for pair, first, line in _copies(ordered, lambda pair: (pair[0].task, Setting.of(*pair))):
        if pair[0].model.checkpoint != first[0].model.checkpoint:
            left_out.add(pair[0].samples)
            problems.add_line(
                f"{line}: a copy is not counted; remove one, or, of one model on two engines, give "
                "both the same checkpoint name"
            )
    kept = [pair for pair in ordered if pair[0].samples not in left_out]
    for _, _, line in _copies(kept, lambda pair: (pair[0].task,)):
        problems.note(line)
    return [pair for pair in summarised if pair[0].samples not in left_out]


def _copies(
    summarised: Iterable[Summarised], group: Callable[[Summarised], tuple[object, ...]]
) -> Iterator[tuple[Summarised, Summarised, str]]:
    """Yield each copy in a group of runs, with the run that it is a copy of, and say so."""
    groups: dict[tuple[object, ...], list[Summarised]] = defaultdict(list)
    for pair in summarised:
        groups[group(pair)].append(pair)
    for pairs in groups.values():
        for pair, first, agreed in copies((pair, pair[1].signature) for pair in pairs):
            (run, _), (other, _) = pair, first
            said = f"answers and numbers of {run.model.full_name} are those of"
            of = f"{other.model.full_name} ({other.samples}) in {agreed}"
            yield pair, first, f"{run.samples}: {said} {of}"


def columns(summarised: Sequence[Summarised]) -> dict[tuple[str, Setting], Column]:
    """Give every task and setting a column; the most used setting gets the plain name."""
    used: dict[str, dict[Setting, int]] = defaultdict(lambda: defaultdict(int))
    for run, summary in summarised:
        used[run.task][Setting.of(run, summary)] += 1
    made = {}
    for task, settings in sorted(used.items()):
        # The usual one first: of most runs, of the whole data, of most documents.
        first, *others = sorted(
            settings, key=lambda s: (-settings[s], bool(_part(s)), -s.documents, repr(s))
        )
        made[task, first] = Column(task, task, first, _limited(first))
        for n, other in enumerate(others, start=2):
            note = f"not compared with {task}: {_difference(other, first)}"
            made[task, other] = Column(f"{task} [{n}]", task, other, note)
    return made


def _limited(setting: Setting) -> str:
    part = _part(setting)
    return f"{part}: part of the data only" if part else ""


def _part(setting: Setting) -> str:
    given = {"limit": setting.limit is not None, "offset": bool(setting.offset)}
    return ", ".join(setting.describe(name) for name, is_given in given.items() if is_given)


def _difference(one: Setting, other: Setting) -> str:
    names = [
        name for name in Setting.__dataclass_fields__ if getattr(one, name) != getattr(other, name)
    ]
    if {"limit", "offset"} & set(names) and {"data", "documents"} & set(names):
        names = [name for name in names if name != "data"]
    return "; ".join(f"{one.describe(name)}, not {other.describe(name)}" for name in names)
