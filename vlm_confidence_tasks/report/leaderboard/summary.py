"""One task's samples file -> all that the report needs of it; many files at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.metrics import Answers, Number, signal_prices
from vlm_confidence_tasks.metrics.inference.ranks import Standing
from vlm_confidence_tasks.report.inputs.copies import Signature
from vlm_confidence_tasks.report.inputs.held_samples import HeldSamples, read_held
from vlm_confidence_tasks.report.inputs.known_metrics import known_metrics, ordered_families
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import TaskRun
from vlm_confidence_tasks.report.inputs.samples import SamplesError, SamplesFile
from vlm_confidence_tasks.report.leaderboard import curves
from vlm_confidence_tasks.report.leaderboard.flipped_documents import Flip, surest_flips
from vlm_confidence_tasks.report.processes import each
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
        ranked: Metrics whose ranks are told, where these have a direction and intervals are made.
    """

    intervals: bool = True
    curves: bool = True
    workers: int | None = None
    quiet: bool = False
    ranked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """What the report needs of one task of one run.

    Attributes:
        documents: Number of documents that were measured.
        failed: Number of those that were not, and are in no number.
        instances: Number of perturbed answers that pooled metrics count.
        images: Number of images: the clusters of the intervals.
        digest: Digest of the questions, images and right answers.
        signature: What tells the answers from those of other runs.
        noise: Perturbation and strength of the noise, where noise of one strength is all there
            is; else None.
        families: Of the perturbations that were shown, as `ordered_families` orders them.
        numbers: The metrics.
        bins: Reliability bins of clean and perturbed answers.
        curves: Data of the figures.
        flips: The surest flips.
        standings: Of each metric that is ranked, what tells its rank among the models.
    """

    documents: int
    failed: int
    instances: int
    images: int
    digest: str
    signature: Signature
    noise: tuple[str, float] | None
    families: list[str]
    numbers: dict[str, Number]
    bins: dict[str, list[dict[str, Any]]]
    curves: dict[str, Any] = field(default_factory=dict)
    flips: list[Flip] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)


def summarise(run: TaskRun, options: SummaryOptions, models: int = 1) -> Summary:
    """Read a samples file and hold it against its results file.

    Every metric is computed again from the samples.

    Args:
        run: The run of the task.
        options: How much to make of it.
        models: How many models' runs of the task it may be ranked among.

    Raises:
        SamplesError: The samples cannot be used, or are not those of the results.
    """
    held = read_held(run, options.intervals)
    file, answers = held.file, held.answers
    known = known_metrics(answers.families)
    return Summary(
        documents=len(file.samples),
        failed=file.failed,
        instances=len(answers.perturbed),
        images=len({sample.image_id for sample in file.samples}),
        digest=file.digest,
        signature=Signature.of(file.samples, answers),
        noise=_noise(file),
        families=ordered_families(answers.families),
        numbers={name: held.numbers[name] for name in known if name in held.numbers},
        bins={
            "clean": curves.reliability_bins(answers.clean, options.intervals),
            "perturbed": curves.reliability_bins(answers.perturbed, options.intervals),
        },
        curves=_curves(answers, options.intervals) if options.curves else {},
        flips=surest_flips(run.task, file),
        standings=_standings(held, options.ranked, models) if options.intervals else {},
    )


def _standings(held: HeldSamples, ranked: Sequence[str], models: int) -> dict[str, Standing]:
    known = known_metrics(held.answers.families)
    directed = [n for n in ranked if n in held.numbers and known[n].higher_is_better is not None]
    found = {name: known[name].standing(held.answers, models) for name in directed * (models > 1)}
    return {name: standing for name, standing in found.items() if standing is not None}


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
        "corp_clean": curves.corp(answers.clean),
        "corp": curves.corp(answers.perturbed),
        "scaled_bins": curves.scaled_bins(answers, intervals),
        "prices": signal_prices(answers),
        "risk_coverage_clean": curves.risk_coverage(answers.clean),
        "risk_coverage": curves.risk_coverage(answers.perturbed),
        "defense_roc": curves.defense_roc(answers),
        "margins": curves.margins(answers),
    }


def _attempt(job: tuple[TaskRun, SummaryOptions, int]) -> Summary | str:
    try:
        return summarise(*job)
    except SamplesError as error:
        return str(error)


def summarise_all(
    runs: Sequence[TaskRun], options: SummaryOptions, problems: Problems
) -> list[tuple[TaskRun, Summary]]:
    """Summarise every run, in processes of their own; those that cannot be are problems."""
    found = []
    few = 0 if options.intervals else FEW
    models = Counter(run.task for run in runs)
    jobs = [(run, options, models[run.task]) for run in runs]
    outcomes = each(_attempt, jobs, options.workers, few)
    bar = tqdm(outcomes, total=len(runs), desc="Samples files", disable=options.quiet)
    for run, outcome in zip(runs, bar, strict=True):
        if isinstance(outcome, str):
            problems.add_line(outcome)
        else:
            found.append((run, outcome))
    return found
