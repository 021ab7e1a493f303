"""Two runs on the documents that both answered: paired differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vlm_confidence_tasks.metrics import (
    METHODS,
    Answers,
    Mean,
    NamedMetric,
    Sample,
    holm,
    measured_in,
    metrics_for,
)
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, one_image_decides
from vlm_confidence_tasks.metrics.inference.inverted import equivalence_p
from vlm_confidence_tasks.report.claims.claims import ALPHA
from vlm_confidence_tasks.report.digits import digits
from vlm_confidence_tasks.report.inputs.copies import ROUNDING, Signature, agreement
from vlm_confidence_tasks.report.inputs.held_samples import read_held
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import CONDITIONS, TaskRun, find_runs
from vlm_confidence_tasks.report.inputs.samples import SamplesError, documents
from vlm_confidence_tasks.report.leaderboard.selection import newest
from vlm_confidence_tasks.report.smallest_effects import smallest_effect

TEST = (
    "two-sided: 1 - the highest level at which the interval of B - A, paired over images, excludes "
    "0"
)
COPY = (
    "A and B have the same answers and numbers, as one run under two names or one model on two "
    "engines has"
)
EQUIVALENCE = (
    "1 - the highest level at which the interval of B - A lies within the smallest effect of "
    "docs/claims.md"
)
# Differences are smaller than what they are of.
PLACES = 4
Samples = Mapping[tuple[str, str, str], Sample]


@dataclass(frozen=True)
class Difference:
    """One metric of one task in two runs.

    Attributes:
        task: The task.
        metric: The metric.
        documents: Number of documents that both runs answered.
        a: The metric in the first run, on these.
        b: In the second.
        difference: b - a.
        low: Lower end of the difference's 95% interval, paired over images.
        high: Upper end.
        influence: Of a mean, the share of the difference's variance that one image carries.
        p: From `TEST`; None for a metric that is no mean over the same answers, where nothing
            differs, and where one image decides.
        p_holm: The same, adjusted (Holm) for the number of all p of the comparison.
        floor_a: Of an ECE, what a perfectly calibrated model would show; else None.
        floor_b: The same in the second run.
        smallest_effect: The smallest difference that matters, None where none is fixed.
        p_equal: From `EQUIVALENCE`; None without a smallest effect or an interval, and where one
            image decides.
        p_equal_holm: The same, adjusted (Holm) for the number of all p_equal of the comparison.
    """

    task: str
    metric: str
    documents: int
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    influence: float | None
    p: float | None
    p_holm: float | None = None
    floor_a: float | None = None
    floor_b: float | None = None
    smallest_effect: float | None = None
    p_equal: float | None = None
    p_equal_holm: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval does."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def differs(self) -> bool:
        """Whether the adjusted p says so at 5%."""
        return self.p_holm is not None and self.p_holm < ALPHA

    @property
    def verdict(self) -> str:
        """What both adjusted p say at 5%, "" for nothing."""
        if self.smallest_effect is None or self.p_equal_holm is None or self.p_equal_holm >= ALPHA:
            return "differs" * self.differs
        bound = digits(self.smallest_effect, PLACES)
        return f"differs by under {bound}" if self.differs else f"equal within {bound}"


@dataclass(frozen=True)
class Comparison:
    """All differences of two runs, and what to know when reading them.

    Attributes:
        copies: Of each task in which one run is a copy of the other, in how many documents.
    """

    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    copies: tuple[str, ...] = ()

    @property
    def tests(self) -> int:
        """For how many p-values each is adjusted."""
        return sum(difference.p is not None for difference in self.differences)

    @property
    def equivalence_tests(self) -> int:
        """For how many p of equivalence each is adjusted."""
        return sum(difference.p_equal is not None for difference in self.differences)

    @property
    def chance(self) -> dict[str, float]:
        """How many intervals there are, exclude 0, and would about by chance."""
        count = sum(difference.low is not None for difference in self.differences)
        excluding = sum(difference.excludes_zero for difference in self.differences)
        by_chance = round((1.0 - LEVEL) * count, 1)
        return {"intervals": count, "excluding_zero": excluding, "by_chance": by_chance}


def compare_runs(runs: Sequence[Path], problems: Problems, quiet: bool = True) -> Comparison:
    """Compare every task that two runs share; what cannot be compared is a problem."""
    first, second = (tasks_of(path, problems) for path in runs)
    shared = [task for task in first if task in second]
    if first and second and not shared:
        problems.add(runs[1], f"no task in common with {runs[0]}: {', '.join(second)} here")
    differences: list[Difference] = []
    copies: list[str] = []
    notes = [
        f"{task}: only in {run}"
        for run, mine, others in zip(runs, (first, second), (second, first), strict=True)
        for task in mine
        if others and task not in others
    ]
    for task in tqdm(shared, desc="Tasks", disable=quiet):
        pair = (first[task], second[task])
        try:
            read = [read_held(run) for run in pair]
        except SamplesError as error:
            problems.add_line(str(error))
            continue
        held = [documents(one.file.samples) for one in read]
        common = sorted(held[0].keys() & held[1].keys())
        if not common:
            problems.add(pair[1].samples, f"no document in common with {pair[0].samples}")
            continue
        notes += _notes(task, pair, held, len(common))
        agreed = agreement(*(Signature.of(one.file.samples, one.answers) for one in read))
        copies += [f"{task} ({agreed})"] if agreed.is_copy else []
        one, other = ([samples[key] for key in common] for samples in held)
        differences += differences_of(task, one, other)
    return Comparison(tuple(adjusted(differences)), tuple(notes), tuple(copies))


def tasks_of(path: Path, problems: Problems) -> dict[str, TaskRun]:
    """Return the newest run of each task of one model; several models are a problem."""
    found, _ = newest(find_runs([path], problems))
    models = sorted({run.model.full_name for run in found})
    if len(models) > 1:
        problems.add(path, f"runs of {len(models)} models, expected one: {'; '.join(models)}")
        return {}
    return {run.task: run for run in found}


def _notes(
    task: str, runs: Sequence[TaskRun], held: Sequence[Samples], common: int
) -> Iterator[str]:
    sizes = [len(samples) for samples in held]
    if sizes != [common, common]:
        yield f"{task}: {common} documents in common, of {sizes[0]} and {sizes[1]}"
    for side, run in zip("AB", runs, strict=True):
        if not run.whole:
            yield f"{task}: {side} has {run.part}: part of the data only"
    for key in CONDITIONS:
        values = [getattr(run.config, key) for run in runs]
        if values[0] != values[1]:
            yield f"{task}: {key} differs: {values[0]} and {values[1]}"


def differences_of(
    task: str, first: Sequence[Sample], second: Sequence[Sample]
) -> Iterator[Difference]:
    """Compare one task's documents in two runs, in the same order; p are not adjusted yet."""
    images = sorted({sample.image_id for sample in (*first, *second)})
    tables = [Answers.of(samples, images) for samples in (first, second)]
    families = dict.fromkeys(name for table in tables for name in table.families)
    provided = measured_in(tables[0]) | measured_in(tables[1])
    known = metrics_for(families, provided)
    for name, metric in known.items():
        # A number without an interval (a p-value, a floor) estimates nothing, nor does B - A.
        if not metric.statistic.estimates:
            continue
        a, b = (metric.value(table) for table in tables)
        if a is None or b is None:
            continue
        found = metric.difference(tables[0], tables[1])
        low, high = (found.low, found.high) if found else (None, None)
        influence = found.influence if found else None
        floor = known.get(metric.floor or "")
        floors = [None if floor is None else floor.value(table) for table in tables]
        p = _p(metric, tables[0], tables[1])
        bound = smallest_effect(name, known, tables[0])
        at = partial(metric.difference, tables[0], tables[1])
        equal = None if bound is None else equivalence_p(at, bound)
        shown = (a, b, b - a, low, high, influence, p, None)
        tested = Difference(task, name, len(first), *shown, *floors)
        yield replace(tested, smallest_effect=bound, p_equal=equal)


def _p(metric: NamedMetric, first: Answers, second: Answers) -> float | None:
    """Test the difference of two means over the same answers; None for any other."""
    if not isinstance(metric.statistic, Mean):
        return None
    one, other = (metric.statistic.sums(metric.view(table)) for table in (first, second))
    if one is None or other is None or not np.array_equal(one.document, other.document):
        return None
    if not np.array_equal(one.count, other.count):
        return None
    moved = (other.totals[0] - one.totals[0]) / one.count
    if (np.abs(moved) <= ROUNDING).all():
        return None
    return metric.statistic.p(metric.view(first), metric.view(second))


def adjusted(differences: Sequence[Difference]) -> Iterator[Difference]:
    """Adjust both kinds of p, each for all of its kind in a comparison."""
    differs = _holm([row.p for row in differences])
    equal = _holm([row.p_equal for row in differences])
    for row, p, p_equal in zip(differences, differs, equal, strict=True):
        yield replace(row, p_holm=p, p_equal_holm=p_equal)


def _holm(p: Sequence[float | None]) -> list[float | None]:
    """Adjust the p-values that there are for their number."""
    adjusted = iter(holm([each for each in p if each is not None]))
    return [None if each is None else next(adjusted) for each in p]


def to_text(comparison: Comparison) -> str:
    """Write a comparison for a terminal."""
    heads = ("task", "metric", "n", "A", "B", "B - A", "95% interval", "p", "Holm", "verdict")
    rows = [heads, *(_cells(difference) for difference in comparison.differences)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines = [*_head(comparison), "", *lines, "", *_explanations(comparison)]
    return "\n".join([*lines, *(f"Note: {note}" for note in comparison.notes)])


def _head(comparison: Comparison) -> Iterator[str]:
    if comparison.copies:
        yield f"{COPY}: {', '.join(comparison.copies)}."
    chance = comparison.chance
    yield (
        f"{chance['intervals']} intervals of 95%: if nothing differed, about {chance['by_chance']} "
        f"would exclude 0 by chance; {chance['excluding_zero']} do."
    )


def _explanations(comparison: Comparison) -> Iterator[str]:
    yield f"p of a difference, for means and rates over the same answers: {TEST}."
    yield f"Where no document differs by more than {ROUNDING:.5f}, it is rounding: there is no p."
    if comparison.tests:
        yield f"Holm: p adjusted for all {comparison.tests} in this comparison."
    yield f"p of equivalence: {EQUIVALENCE}."
    yield (
        "Verdict: 'differs' where Holm is under 0.05; 'equal within' and 'by under' where the p of "
        f"equivalence, adjusted (Holm) for all {comparison.equivalence_tests} of them, is."
    )
    yield f"Intervals: of B - A, paired over images; {METHODS}."
    yield "Floor: the ECE that a perfectly calibrated model would show."
    yield "Left out: p-values, floors and others that have no interval."


def _cells(row: Difference) -> tuple[str, ...]:
    ends = (
        "" if row.low is None or row.high is None else f"[{_signed(row.low)}, {_signed(row.high)}]"
    ) + " (one image decides)" * one_image_decides(row.influence)
    p, adjusted = ("" if p is None else f"{p:.3g}" for p in (row.p, row.p_holm))
    sides = (_side(row.a, row.floor_a), _side(row.b, row.floor_b))
    return (
        row.task,
        row.metric,
        str(row.documents),
        *sides,
        _signed(row.difference),
        ends,
        p,
        adjusted,
        row.verdict,
    )


def _side(value: float, floor: float | None) -> str:
    text = digits(value, PLACES)
    return text if floor is None else f"{text} (floor {digits(floor, PLACES)})"


_signed = partial(digits, places=PLACES, signed=True)


def to_record(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON types."""
    return {
        "test": TEST,
        "tests": comparison.tests,
        "equivalence": EQUIVALENCE,
        "equivalence_tests": comparison.equivalence_tests,
        "chance": comparison.chance,
        "intervals": METHODS,
        "differences": [vars(row) | {"verdict": row.verdict} for row in comparison.differences],
        "copies": list(comparison.copies),
        "notes": list(comparison.notes),
    }
