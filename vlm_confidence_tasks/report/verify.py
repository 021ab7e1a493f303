"""A run's clean numbers, held against published ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
from tqdm import tqdm

from vlm_confidence_tasks.metrics import Number, measure
from vlm_confidence_tasks.report.digits import digits
from vlm_confidence_tasks.report.inputs.held_samples import HeldSamples, read_held
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.published import (
    Accuracy,
    Prefix,
    Published,
    PublishedNumber,
)
from vlm_confidence_tasks.report.inputs.runs import TaskRun, find_runs
from vlm_confidence_tasks.report.inputs.samples import SamplesError
from vlm_confidence_tasks.report.leaderboard.selection import newest
from vlm_confidence_tasks.sandbox import SANDBOX

INTERVAL = (
    "of the run, 95% over images; the published number's own binomial error at 95% is joined to it "
    "(root of the sum of squares) where that is an accuracy over a known n, and its rounding added"
)
# Two-sided, of a normal distribution.
Z = 1.959963984540054
# More questions than this share more or less are another set of questions.
SAME_SET = 0.05
# Arguments of a model that give it other weights than the published ones.
OTHER_WEIGHTS = ("load_in_4bit", "load_in_8bit", "quantization", "peft", "lora")
_OFF = (None, "", "None", "False", "false", "0")
# Numbers of a run that tell why it is off, and how.
TELLING = {
    "invalid_rate_clean": "high if parsing or template are wrong",
    "answer_mass_clean": "low if prompt or template are",
}
PLACES = 4


@dataclass(frozen=True)
class Comparison:
    """One published number and the run's.

    Attributes:
        here: The run's number, None where it has none.
        low: Lower end of the interval that the published number is in or not; see `INTERVAL`.
        high: Upper end.
        outside_by: How far the interval lies above the published number, negative below it; 0
            inside, None where nothing is compared.
        why: Why nothing is compared.
    """

    published: PublishedNumber
    here: float | None
    low: float | None
    high: float | None
    verdict: Literal["inside", "outside", "not comparable"]
    outside_by: float | None
    why: str


@dataclass(frozen=True)
class Verified:
    """One task of one run, held against all that is published of its model and questions.

    Attributes:
        telling: The numbers of `TELLING` that the run has.
    """

    model: str
    task: str
    documents: int
    comparisons: Sequence[Comparison]
    telling: Mapping[str, float]

    @property
    def cause(self) -> str:
        """What usually causes a run to be off, "" where none that shares its setting is."""
        off = [
            comparison.published.metric
            for comparison in self.comparisons
            if comparison.verdict == "outside" and comparison.published.prompt is not None
        ]
        if not off:
            return ""
        told = ", ".join(
            f"{name} {digits(self.telling[name], PLACES) if name in self.telling else 'absent'} "
            f"({sign})"
            for name, sign in TELLING.items()
        )
        return (
            f"{self.model}, {self.task}: {', '.join(dict.fromkeys(off))} is outside in the same "
            "setting; most often it is the prompt, the chat template, the image size or the "
            f"parsing: {told}"
        )


@dataclass(frozen=True)
class Verification:
    """All that was verified, and lines about what was not."""

    verified: Sequence[Verified]
    notes: Sequence[str]


def verify_runs(
    paths: Iterable[Path], published: Published, problems: Problems, quiet: bool = True
) -> Verification:
    """Hold the clean numbers of runs against published ones.

    Of the tasks of one model and prefix, whose clean answers are the same, one is taken. What
    cannot be read is a problem.
    """
    verified, notes = [], []
    for run in tqdm(_one_a_prefix(find_runs(paths, problems)), desc="Tasks", disable=quiet):
        known = published.of(run.model)
        numbers = [number for number in known if number.task == prefix_of(run.task)]
        if not numbers:
            what = f"of {run.task}" if known else "of this model"
            notes.append(f"{run.model.short_name}, {run.task}: nothing published {what} here")
            continue
        try:
            verified.append(_verified(run, read_held(run), numbers))
        except SamplesError as error:
            problems.add_line(str(error))
    return Verification(verified, notes)


def prefix_of(task: str) -> str:
    """Return the prefix of a task's name, the whole name for one of another form.

    >>> prefix_of("pope_adv_eps0.3"), prefix_of("pope_blur"), prefix_of("mine")
    ('pope_adv', 'pope', 'mine')
    """
    fits = [name for name in get_args(Prefix) if f"{task}_".startswith(f"{name}_")]
    return max(fits, key=len, default=task)


def _one_a_prefix(runs: Iterable[TaskRun]) -> list[TaskRun]:
    """Take one run of each model and prefix: of all documents, with images as they are."""

    def worth(run: TaskRun) -> tuple[bool, bool, int]:
        documents = run.config.data.documents if run.config.data else 0
        return run.whole, run.config.max_side is None, documents

    best: dict[tuple[Any, str], TaskRun] = {}
    for run in sorted(newest(runs)[0], key=lambda run: run.task):
        key = run.model, prefix_of(run.task)
        if key not in best or worth(run) > worth(best[key]):
            best[key] = run
    return list(best.values())


def _verified(run: TaskRun, held: HeldSamples, published: Sequence[PublishedNumber]) -> Verified:
    here = measure(held.answers, {number.metric for number in published})
    prompts = [sample.prompt for sample in held.file.samples]
    comparisons = [
        compared(number, here.get(number.metric), _difference(number, run, prompts))
        for number in published
    ]
    telling = {name: held.numbers[name].value for name in TELLING if name in held.numbers}
    return Verified(run.model.short_name, run.task, len(prompts), comparisons, telling)


def _difference(number: PublishedNumber, run: TaskRun, prompts: Sequence[str]) -> str:
    """Say in what a run differs from a published number's setting, "" for in nothing known."""
    return "; ".join(_differences(number, run, prompts))


def _differences(number: PublishedNumber, run: TaskRun, prompts: Sequence[str]) -> Iterator[str]:
    if number.differs:
        yield number.differs
    if run.part:
        yield f"subset: {run.part} here"
    if run.config.data and run.config.data.source == SANDBOX:
        yield "other data: the embedded ones here"
    elif number.n and abs(len(prompts) - number.n) > SAME_SET * number.n:
        yield f"subset: {number.n:,} questions there, {len(prompts):,} here"
    if run.config.max_side is not None:
        yield f"other images: of at most {run.config.max_side} px here"
    args = dict(run.model.args)
    if changed := [f"{name}={args[name]}" for name in OTHER_WEIGHTS if args.get(name) not in _OFF]:
        yield f"another model: {', '.join(changed)} here"
    # Some questions have another ending, such as open ones of MMMU.
    if number.prompt and 2 * sum(p.rstrip().endswith(number.prompt) for p in prompts) < len(
        prompts
    ):
        yield f"other prompt: ends with {number.prompt!r} there, not here"


def compared(number: PublishedNumber, here: Number | None, difference: str) -> Comparison:
    """Compare a published number with a run's, unless the two differ in what was done."""
    if here is None:
        return Comparison(number, None, None, None, "not comparable", None, "no such number here")
    if difference or here.low is None or here.high is None:
        why = difference or "too few images here for an interval"
        return Comparison(number, here.value, None, None, "not comparable", None, why)
    low, high = widened(number, here.value, here.low, here.high)
    by = max(low - number.share, 0.0) or min(high - number.share, 0.0)
    verdict: Literal["inside", "outside"] = "outside" if by else "inside"
    return Comparison(number, here.value, low, high, verdict, by, "")


def widened(number: PublishedNumber, value: float, low: float, high: float) -> tuple[float, float]:
    """Widen a run's interval by a published number's own error, as `INTERVAL` says."""
    error = 0.0
    if number.n and number.metric in get_args(Accuracy):
        error = Z * math.sqrt(number.share * (1 - number.share) / number.n)
    below = math.hypot(value - low, error) + number.rounding
    above = math.hypot(high - value, error) + number.rounding
    return value - below, value + above


def to_text(verification: Verification) -> str:
    """Write what was verified for a terminal."""
    lines: list[str] = []
    if verification.verified:
        heads = ("task", "metric", "here", "interval", "published", "n", "verdict", "source")
        for one in verification.verified:
            lines += [f"{one.model}, {one.documents:,} documents", *_table(one, heads), ""]
        lines += [f"Interval: {INTERVAL}."]
    lines += [one.cause for one in verification.verified if one.cause]
    return "\n".join([*lines, *verification.notes])


def _table(one: Verified, heads: tuple[str, ...]) -> Iterator[str]:
    rows = [heads, *(_cells(one.task, comparison) for comparison in one.comparisons)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, comparison in zip(rows, (None, *one.comparisons), strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
        if comparison and (said := comparison.why or _caveat(comparison.published)):
            yield f"    {said}"


def _caveat(number: PublishedNumber) -> str:
    unsaid = "its prompt is not said" if number.prompt is None else ""
    return "; ".join(part for part in (unsaid, number.note) if part)


def _cells(task: str, row: Comparison) -> tuple[str, ...]:
    number = row.published
    ends = (
        ""
        if row.low is None or row.high is None
        else f"[{digits(row.low, PLACES)}, {digits(row.high, PLACES)}]"
    )
    by = f" by {digits(row.outside_by, PLACES, signed=True)}" if row.outside_by else ""
    return (
        task,
        number.metric,
        "-" if row.here is None else digits(row.here, PLACES),
        ends,
        f"{number.value}%",
        "-" if number.n is None else f"{number.n:,}",
        row.verdict + by,
        number.source,
    )


def to_record(verification: Verification) -> dict[str, Any]:
    """Return what was verified as JSON types."""
    return {
        "interval": INTERVAL,
        "runs": [{**msgspec.to_builtins(one), "cause": one.cause} for one in verification.verified],
        "notes": list(verification.notes),
    }
