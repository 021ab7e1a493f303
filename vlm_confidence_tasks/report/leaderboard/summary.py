"""One task's samples file -> all that the report keeps of it; many files at once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.metrics import (
    Number,
    families_of,
    measure,
    metrics_for,
    task_metrics,
)
from vlm_confidence_tasks.report.inputs.consistency import QUICK_METRICS, disagreement
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import TaskRun
from vlm_confidence_tasks.report.inputs.samples import SamplesFile, read_samples
from vlm_confidence_tasks.report.leaderboard import curves
from vlm_confidence_tasks.report.leaderboard.flipped_documents import Flip, surest_flips

# Fewer files than this are read before other processes have even started.
FEW = 8


@dataclass(frozen=True)
class Wanted:
    """How much to make of every task.

    Attributes:
        draws: Draws of the bootstrap; 0 for no intervals.
        curves: Whether figures are drawn.
        workers: Processes; None for one a core.
        quiet: Whether to leave the progress bar out.
    """

    draws: int = 2000
    curves: bool = True
    workers: int | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Summary:
    """What the report keeps of one task of one run.

    Attributes:
        documents: Number of documents that were measured.
        failed: Number of those that were not, and are in no number.
        instances: Number of perturbed answers that pooled metrics count.
        images: Number of images: the clusters of the intervals.
        digest: Digest of the questions and images asked and of the right answers.
        epsilon: Strength of the noise, where noise of one strength is all there is.
        families: Of the perturbations that were shown.
        numbers: The metrics.
        bins: Reliability bins of clean and perturbed answers.
        curves: Data of the figures.
        flips: The surest flips.
    """

    documents: int
    failed: int
    instances: int
    images: int
    digest: str
    epsilon: float | None
    families: list[str]
    numbers: dict[str, Number]
    bins: dict[str, list[dict[str, Any]]]
    curves: dict[str, Any] = field(default_factory=dict)
    flips: list[Flip] = field(default_factory=list)


def summarise(run: TaskRun, wanted: Wanted) -> Summary:
    """Read a samples file and hold it against its results file.

    With intervals every metric is computed again from the samples. Without them the
    numbers are the results file's, and those that need little time are computed again.

    Raises:
        ValueError: The samples cannot be used, or are not those of the results.
    """
    rows = read_samples(run.samples)
    families = sorted(families_of(rows.samples))
    known = metrics_for(dict.fromkeys((*perturbations.families(), *families)))
    asked = _asked(run, known)
    if wanted.draws:
        numbers = measure(rows.samples, wanted.draws)
        _compare(run, {name: number.value for name, number in numbers.items()}, list(known))
    else:
        _compare(run, task_metrics(rows.samples, QUICK_METRICS), QUICK_METRICS)
        numbers = {name: Number(value) for name, value in run.numbers.items()}
    return Summary(
        documents=len(rows.rows),
        failed=rows.failed,
        instances=len(rows.pairs),
        images=len({sample.image_id for sample in rows.samples}),
        digest=rows.digest,
        epsilon=_epsilon(rows),
        families=families,
        numbers={name: numbers[name] for name in known if name in numbers and name in asked},
        bins={
            "clean": curves.reliability_bins(rows.clean, wanted.draws),
            "perturbed": curves.reliability_bins(rows.pairs, wanted.draws),
        },
        curves=_curves(rows) if wanted.curves else {},
        flips=surest_flips(run.task, rows),
    )


def _compare(run: TaskRun, computed: dict[str, float], names: Sequence[str]) -> None:
    asked = _asked(run, names)
    wrong = disagreement(run.numbers, computed, [name for name in names if name in asked])
    if wrong:
        raise ValueError(
            f"{run.samples}: not the samples of {run.results.name}: {wrong}; {run.task} is left out"
        )


def _asked(run: TaskRun, known: Iterable[str]) -> set[str]:
    """Return the metrics that the task's configuration lists, all if it has no list."""
    listed = {entry["metric"] for entry in run.config.get("metric_list") or ()}
    return listed or set(known)


def _epsilon(rows: SamplesFile) -> float | None:
    shown = {
        (r.variant.perturbation, dict(r.variant.parameters).get("epsilon")) for _, r in rows.pairs
    }
    if len(shown) != 1:
        return None
    ((name, epsilon),) = shown
    return float(epsilon) if name == "gaussian_noise" and epsilon is not None else None


def _curves(rows: SamplesFile) -> dict[str, Any]:
    return {
        "risk_coverage_clean": curves.risk_coverage(rows.clean),
        "risk_coverage": curves.risk_coverage(rows.pairs),
        "defense_roc": curves.defense_roc(rows),
        "margins": curves.margins(rows),
    }


def _attempt(job: tuple[TaskRun, Wanted]) -> Summary | str:
    run, wanted = job
    try:
        return summarise(run, wanted)
    except ValueError as error:
        text = str(error)
        return text if str(run.samples) in text else f"{run.samples}: {text}"


def summarise_all(
    runs: Sequence[TaskRun], wanted: Wanted, problems: Problems
) -> list[tuple[TaskRun, Summary]]:
    """Summarise every run, in processes of their own; those that cannot be are problems."""
    found = []
    with _mapper(len(runs), wanted) as each:
        outcomes = each(_attempt, [(run, wanted) for run in runs])
        bar = tqdm(outcomes, total=len(runs), desc="Samples files", disable=wanted.quiet)
        for run, outcome in zip(runs, bar, strict=True):
            if isinstance(outcome, str):
                problems.add_line(outcome)
            else:
                found.append((run, outcome))
    return found


@contextmanager
def _mapper(jobs: int, wanted: Wanted) -> Iterator[Any]:
    workers = wanted.workers or os.cpu_count() or 1
    if min(jobs, workers) < 2 or (jobs < FEW and not wanted.draws):
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, workers), mp_context=context) as pool:
        yield pool.map
