"""One task's samples file -> all that the report needs of it; many files at once."""

from __future__ import annotations

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
    Answers,
    NamedMetric,
    Number,
    measure,
    metrics_for,
    signal_prices,
)
from vlm_confidence_tasks.report.inputs.consistency import disagreement
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

    Every metric is computed again from the samples.

    Raises:
        ValueError: The samples cannot be used, or are not those of the results.
    """
    file = read_samples(run.samples)
    answers = Answers.of(file.samples)
    families = ordered_families(answers.families)
    known = known_metrics(families)
    numbers = measure(answers, intervals=options.intervals)
    values = {name: number.value for name, number in numbers.items()}
    if wrong := disagreement(run.numbers, values, _listed(run, known)):
        raise ValueError(
            f"{run.samples}: not the samples of {run.results.name}: {wrong}; {run.task} is left out"
        )
    return Summary(
        documents=len(file.samples),
        failed=file.failed,
        instances=len(answers.perturbed),
        images=len({sample.image_id for sample in file.samples}),
        digest=file.digest,
        noise=_noise(file),
        families=families,
        numbers={name: numbers[name] for name in known if name in numbers},
        bins={
            "clean": curves.reliability_bins(answers.clean, options.intervals),
            "perturbed": curves.reliability_bins(answers.perturbed, options.intervals),
        },
        curves=_curves(answers, options.intervals) if options.curves else {},
        flips=surest_flips(run.task, file),
    )


def known_metrics(families: Iterable[str]) -> dict[str, NamedMetric]:
    """Return the metrics of tasks with the registered families and the given ones."""
    return metrics_for(ordered_families({*perturbations.families(), *families}))


def ordered_families(names: Iterable[str]) -> list[str]:
    """Return families in the order of the registry, those that it does not know after them."""
    rank = {name: n for n, name in enumerate(perturbations.families())}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))


def _listed(run: TaskRun, known: Mapping[str, NamedMetric]) -> list[str]:
    """Return the known metrics that the task's configuration lists, all if it has no list.

    Those that an earlier release computed otherwise are left out.
    """
    listed = {entry["metric"] for entry in run.config.get("metric_list") or ()}
    return [
        name
        for name, metric in known.items()
        if (name in listed or not listed) and not metric.record.redefined
    ]


def _noise(file: SamplesFile) -> tuple[str, float] | None:
    variants = {readout.variant for sample in file.samples for readout in sample.variants}
    shown = {
        (variant.perturbation, variant.family, _strength(variant))
        for variant in variants
        if not variant.control
    }
    if len(shown) != 1:
        return None
    ((perturbation, family, strength),) = shown
    return None if family != NOISE or strength is None else (perturbation, float(strength))


def _strength(variant: Variant) -> Any:
    if variant.perturbation not in perturbations.names():
        return None
    return dict(variant.parameters).get(perturbations.get(variant.perturbation).strength or "")


def _curves(answers: Answers, intervals: bool) -> dict[str, Any]:
    return {
        "scaled_bins": curves.scaled_bins(answers, intervals),
        "prices": signal_prices(answers),
        "risk_coverage_clean": curves.risk_coverage(answers.clean),
        "risk_coverage": curves.risk_coverage(answers.perturbed),
        "defense_roc": curves.defense_roc(answers),
        "margins": curves.margins(answers),
    }


def _attempt(job: tuple[TaskRun, SummaryOptions]) -> Summary | str:
    run, options = job
    try:
        return summarise(run, options)
    except ValueError as error:
        text = str(error)
        return text if str(run.samples) in text else f"{run.samples}: {text}"


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
