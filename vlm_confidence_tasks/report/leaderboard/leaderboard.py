"""The leaderboard itself: one JSON object from which every table and page is made."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from vlm_confidence_tasks import __version__
from vlm_confidence_tasks.metrics import holm
from vlm_confidence_tasks.report.inputs.known_metrics import known_metrics
from vlm_confidence_tasks.report.inputs.model_names import Model, name_models
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import OWN_KEY, TaskRun
from vlm_confidence_tasks.report.leaderboard import flipped_documents as flips
from vlm_confidence_tasks.report.leaderboard.ranks import Ranks, ranks
from vlm_confidence_tasks.report.leaderboard.selection import (
    Column,
    Setting,
    Summarised,
    columns,
    newest,
    without_copies,
)
from vlm_confidence_tasks.report.leaderboard.summary import (
    Summary,
    SummaryOptions,
    summarise_all,
)

# JSON types alone: the whole leaderboard, and one of its objects.
Leaderboard = dict[str, Any]
Record = dict[str, Any]
FORMAT = 1
COUNTS = ("documents", "failed", "instances", "images")


def collect(
    runs: Sequence[TaskRun], options: SummaryOptions, problems: Problems
) -> tuple[list[Summarised], list[TaskRun]]:
    """Read the newest run of each model and task, once each; return also what that replaces."""
    current, older = newest(runs)
    return without_copies(summarise_all(current, options, problems), problems), older


def build_leaderboard(
    summarised: Sequence[Summarised], older: Sequence[TaskRun], intervals: bool, problems: Problems
) -> Leaderboard:
    """Put summaries together into the leaderboard, made of JSON types alone."""
    everyone = [*(run for run, _ in summarised), *older]
    names = name_models([(run.model, run.results) for run in everyone], problems)
    shared = columns(summarised)
    summarised = sorted(summarised, key=lambda pair: (names[pair[0].model], pair[0].task))
    shown = {run.model for run, _ in summarised}
    metrics = _metrics(summarised)
    entries = [
        _entry(*pair, own, names, shared)
        for pair, own in zip(summarised, ranks(summarised), strict=True)
    ]
    return {
        "format": FORMAT,
        "made_by": {OWN_KEY: __version__},
        "interval": {"level": 0.95, "clusters": "images"} if intervals else None,
        "models": [_model(model, names[model]) for model in sorted(shown, key=names.__getitem__)],
        "columns": [_column(column) for column in shared.values()],
        "metrics": metrics,
        "tests": _adjust(entries, [name for name, each in metrics.items() if each["is_p"]]),
        "entries": entries,
        "flips": _flips(summarised, names),
        "older": [_older(run, names) for run in older],
        "problems": problems.lines,
    }


def _model(model: Model, name: str) -> Record:
    return {
        "name": name,
        "adapter": model.adapter,
        "args": dict(model.args),
        "revision": model.revision,
    }


def _column(column: Column) -> Record:
    return {
        "id": column.id,
        "task": column.task,
        "note": column.note,
        **asdict(column.setting),
        "perturbations": list(column.setting.perturbations),
    }


def _metrics(summarised: Sequence[Summarised]) -> Record:
    used = {name for _, summary in summarised for name in summary.numbers}
    families = {name for _, summary in summarised for name in summary.families}
    return {
        name: {
            "higher_is_better": metric.higher_is_better,
            "description": metric.description,
            "floor": metric.floor,
            "is_p": metric.is_p,
        }
        for name, metric in known_metrics(families).items()
        if name in used
    }


def _entry(
    run: TaskRun,
    summary: Summary,
    ranked: Ranks,
    names: dict[Model, str],
    shared: dict[tuple[str, Setting], Column],
) -> Record:
    return {
        "model": names[run.model],
        "column": shared[run.task, Setting.of(run, summary)].id,
        "task": run.task,
        "benchmark": run.config.benchmark,
        "perturbations": list(run.config.perturbations or ()),
        "families": summary.families,
        "noise": summary.noise[0] if summary.noise else None,
        "epsilon": summary.noise[1] if summary.noise else None,
        "n": {key: getattr(summary, key) for key in COUNTS},
        "metrics": {name: asdict(number) for name, number in summary.numbers.items()},
        "ranks": {name: list(ranked[name]) for name in summary.numbers if name in ranked},
        "bins": summary.bins,
        "versions": run.versions,
        "data": msgspec.to_builtins(run.config.data),
        "date": run.date,
        "results": str(run.results),
        "samples": str(run.samples),
    }


def _adjust(entries: Sequence[Record], is_p: Collection[str]) -> int:
    """Put beside each p the same adjusted (Holm) for all of the entries; return their number.

    All p of a leaderboard are one family of tests, whatever a table of it shows.
    """
    tests = [
        number for entry in entries for name, number in entry["metrics"].items() if name in is_p
    ]
    for number, adjusted in zip(tests, holm([n["value"] for n in tests]), strict=True):
        number["holm"] = adjusted
    return len(tests)


def _older(run: TaskRun, names: dict[Model, str]) -> Record:
    return {
        "model": names[run.model],
        "task": run.task,
        "date": run.date,
        "results": str(run.results),
    }


def _flips(summarised: Sequence[Summarised], names: dict[Model, str]) -> Record:
    by_model: dict[str, list[flips.Flip]] = defaultdict(list)
    for run, summary in summarised:
        by_model[names[run.model]].extend(summary.flips)
    return {name: [asdict(f) for f in flips.merge(own)] for name, own in by_model.items()}
