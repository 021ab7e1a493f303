"""One task's samples file -> all that the report needs of it; many files at once."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.metrics import (
    Metric,
    Number,
    families_of,
    measure,
    metrics_for,
    signal_prices,
    task_metrics,
)
from vlm_confidence_tasks.report.inputs.consistency import QUICK_METRICS, disagreement
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import TaskRun
from vlm_confidence_tasks.report.inputs.samples import SamplesFile, read_samples
from vlm_confidence_tasks.report.leaderboard import curves
from vlm_confidence_tasks.report.leaderboard.flipped_documents import Flip, surest_flips
from vlm_confidence_tasks.types import Variant

# Fewer files than this are read before other processes have even started.
FEW = 8
# The family of which sweeps are drawn.
NOISE = "noise"


@dataclass(frozen=True)
class SummaryOptions:
    """How much to make of every task.

    Attributes:
        intervals: Whether every number has its interval.
        curves: Whether figures are drawn.
        workers: Processes; None for one a core.
        quiet: Whether to leave the progress bar out.
    """

    intervals: bool = True
    curves: bool = True
    workers: int | None = None
    quiet: bool = False


@dataclass(frozen=True)
class Summary:
    """What the report needs of one task of one run.

    Attributes:
        documents: Number of documents that were measured.
        failed: Number of those that were not, and are in no number.
        instances: Number of perturbed answers that pooled metrics count.
        images: Number of images: the clusters of the intervals.
        digest: Digest of the questions, images and right answers.
        noise: Perturbation and strength of the noise, where noise of one strength is all there
            is; else None.
        families: Of the perturbations that were shown, as `ordered_families` orders them.
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
    noise: tuple[str, float] | None
    families: list[str]
    numbers: dict[str, Number]
    bins: dict[str, list[dict[str, Any]]]
    curves: dict[str, Any] = field(default_factory=dict)
    flips: list[Flip] = field(default_factory=list)


def summarise(run: TaskRun, options: SummaryOptions) -> Summary:
    """Read a samples file and hold it against its results file.

    With intervals every metric is computed again from the samples. Without them the
    numbers are the results file's, and those that need little time are computed again.

    Raises:
        ValueError: The samples cannot be used, or are not those of the results.
    """
    file = read_samples(run.samples)
    families = ordered_families(families_of(file.samples))
    known = known_metrics(families)
    listed = _listed(run, known)
    # A task may list an ECE alone, and an older one not what has been added since.
    beside = {known[name].floor for name in listed}
    beside |= {n for n, m in known.items() if m.beside is not None and m.beside <= {*listed}}
    shown = [name for name in known if name in listed or name in beside]
    if options.intervals:
        numbers = measure(file.samples, shown)
        values = {name: number.value for name, number in numbers.items()}
        _check_consistency(run, values, listed)
    else:
        quick = [name for name in QUICK_METRICS if name in listed]
        _check_consistency(run, task_metrics(file.samples, QUICK_METRICS), quick)
        numbers = {name: Number(value) for name, value in run.numbers.items()}
    return Summary(
        documents=len(file.rows),
        failed=file.failed,
        instances=sum(len(readouts) for _, readouts in file.perturbed),
        images=len({sample.image_id for sample in file.samples}),
        digest=file.digest,
        noise=_noise(file),
        families=families,
        numbers={name: numbers[name] for name in shown if name in numbers},
        bins={
            "clean": curves.reliability_bins(file.clean, options.intervals),
            "perturbed": curves.reliability_bins(file.perturbed, options.intervals),
        },
        curves=_curves(file, options.intervals) if options.curves else {},
        flips=surest_flips(run.task, file),
    )


def known_metrics(families: Iterable[str]) -> dict[str, Metric]:
    """Return the metrics of tasks with the registered families and the given ones."""
    return metrics_for(ordered_families({*perturbations.families(), *families}))


def ordered_families(names: Iterable[str]) -> list[str]:
    """Return families in the order of the registry, those that it does not know after them."""
    rank = {name: n for n, name in enumerate(perturbations.families())}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))


def _check_consistency(run: TaskRun, computed: dict[str, float], names: Sequence[str]) -> None:
    if wrong := disagreement(run.numbers, computed, names):
        raise ValueError(
            f"{run.samples}: not the samples of {run.results.name}: {wrong}; {run.task} is left out"
        )


def _listed(run: TaskRun, known: Iterable[str]) -> list[str]:
    """Return the known metrics that the task's configuration lists, all if it has no list."""
    listed = {entry["metric"] for entry in run.config.get("metric_list") or ()}
    return [name for name in known if name in listed or not listed]


def _noise(file: SamplesFile) -> tuple[str, float] | None:
    variants = {readout.variant for _, readouts in file.perturbed for readout in readouts}
    shown = {(variant.perturbation, variant.family, _strength(variant)) for variant in variants}
    if len(shown) != 1:
        return None
    ((perturbation, family, strength),) = shown
    return None if family != NOISE or strength is None else (perturbation, float(strength))


def _strength(variant: Variant) -> Any:
    if variant.perturbation not in perturbations.names():
        return None
    return dict(variant.parameters).get(perturbations.get(variant.perturbation).strength or "")


def _curves(file: SamplesFile, intervals: bool) -> dict[str, Any]:
    return {
        "scaled_bins": curves.scaled_bins(file.samples, intervals),
        "prices": signal_prices(file.samples),
        "risk_coverage_clean": curves.risk_coverage(file.clean),
        "risk_coverage": curves.risk_coverage(file.perturbed),
        "defense_roc": curves.defense_roc(file),
        "margins": curves.margins(file),
    }


def _attempt(job: tuple[TaskRun, SummaryOptions]) -> Summary | str:
    run, options = job
    # A file's records are many and hold no cycles: looking for some takes half of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return summarise(run, options)
    except ValueError as error:
        text = str(error)
        return text if str(run.samples) in text else f"{run.samples}: {text}"
    finally:
        if collecting:
            gc.enable()


def summarise_all(
    runs: Sequence[TaskRun], options: SummaryOptions, problems: Problems
) -> list[tuple[TaskRun, Summary]]:
    """Summarise every run, in processes of their own; those that cannot be are problems."""
    found = []
    with _mapper(len(runs), options) as each:
        outcomes = each(_attempt, [(run, options) for run in runs])
        bar = tqdm(outcomes, total=len(runs), desc="Samples files", disable=options.quiet)
        for run, outcome in zip(runs, bar, strict=True):
            if isinstance(outcome, str):
                problems.add_line(outcome)
            else:
                found.append((run, outcome))
    return found


@contextmanager
def _mapper(jobs: int, options: SummaryOptions) -> Iterator[Any]:
    workers = options.workers or os.cpu_count() or 1
    if min(jobs, workers) < 2 or (jobs < FEW and not options.intervals):
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with (
        _environment(_ONE_THREAD),
        ProcessPoolExecutor(min(jobs, workers), mp_context=context) as pool,
    ):
        yield pool.map


# Processes whose linear algebra has a thread a core each wait for each other: 46 s for 30.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for processes that begin in the block, but those set already."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
