"""Reading a run's samples, held against its results file: what every command begins with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlm_confidence_tasks.metrics import Answers, Number, measure
from vlm_confidence_tasks.report.inputs.known_metrics import known_metrics
from vlm_confidence_tasks.report.inputs.runs import TaskRun, run_of
from vlm_confidence_tasks.report.inputs.samples import SamplesError, SamplesFile, read_samples
from vlm_confidence_tasks.report.inputs.trap_samples import TRAP_NUMBERS, read_trap_samples

TOLERANCE = 1e-9


@dataclass(frozen=True)
class HeldSamples:
    """The samples of a run, and every metric computed again from them.

    Attributes:
        run: The run whose results these numbers are; None where no results file was beside them.
    """

    file: SamplesFile
    answers: Answers
    numbers: dict[str, Number]
    run: TaskRun | None


def read_held(run: TaskRun, intervals: bool = False) -> HeldSamples:
    """Read a run's samples and hold every metric that it lists against them.

    Raises:
        SamplesError: The samples cannot be used, or are not those of the results.
    """
    held = _measured(run.samples, run, intervals)
    if wrong := disagreement(run.numbers, _computed(run, held.numbers), _listed(run, held)):
        raise SamplesError(
            f"{run.samples}: not the samples of {run.results.name}: {wrong}; {run.task} is left out"
        )
    return held


def read_beside(samples: Path) -> HeldSamples:
    """Read a samples file, held against the results file beside it if there is one.

    Raises:
        ReportError: One of the files cannot be used, or they are of different runs.
    """
    run = run_of(samples)
    return _measured(samples, None, False) if run is None else read_held(run)


def _measured(samples: Path, run: TaskRun | None, intervals: bool) -> HeldSamples:
    file = read_trap_samples(samples) if run and run.is_trap else read_samples(samples)
    try:
        answers = Answers.of(file.samples)
        return HeldSamples(file, answers, measure(answers, intervals=intervals), run)
    except ValueError as error:
        raise SamplesError(f"{samples}: {error}") from error


def _computed(run: TaskRun, numbers: Mapping[str, Number]) -> dict[str, float]:
    prefix = "trap_" if run.is_trap else ""
    return {f"{prefix}{name}": number.value for name, number in numbers.items()}


def _listed(run: TaskRun, held: HeldSamples) -> list[str]:
    """Return the known metrics that the task's configuration lists, all if it has no list.

    Those that an earlier release computed otherwise are left out.
    """
    listed = {entry.metric for entry in run.config.metric_list or ()}
    metrics = known_metrics(held.answers.families).items()
    known = [name for name, metric in metrics if not metric.record.redefined]
    return [n for n in (TRAP_NUMBERS if run.is_trap else known) if n in listed or not listed]


def disagreement(
    reported: Mapping[str, float], computed: Mapping[str, float], names: Sequence[str]
) -> str | None:
    """Say which of the named metrics differ between results file and samples, if any do.

    >>> disagreement({"ece": 0.5}, {"ece": 0.5, "ifr": 0.1}, ["ece"]) is None
    True
    >>> disagreement({"ece": 0.5}, {"ece": 0.4}, ["ece"])
    'ece is 0.5 there, 0.4 from the samples'
    >>> disagreement({}, {"ece": 0.4}, ["ece"])
    'ece is no number there, 0.4 from the samples'
    """
    wrong = [name for name in names if not _same(reported.get(name), computed.get(name))]
    if not wrong:
        return None
    name = wrong[0]
    more = f", and {len(wrong) - 1} more differ" if wrong[1:] else ""
    there, here = (
        "no number" if numbers.get(name) is None else numbers[name]
        for numbers in (reported, computed)
    )
    return f"{name} is {there} there, {here} from the samples{more}"


def _same(reported: float | None, computed: float | None) -> bool:
    if reported is None or computed is None:
        return reported is computed
    return math.isclose(reported, computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
