"""From runs to one JSON object with every verdict."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from tqdm import tqdm

from vlm_confidence_tasks import __version__
from vlm_confidence_tasks.metrics.inference.power import detectable
from vlm_confidence_tasks.report.claims.claims import ALPHA, CLAIMS, FEWEST_SIZES, Claim, Part
from vlm_confidence_tasks.report.claims.effects import Documents, Effect, Measured
from vlm_confidence_tasks.report.claims.notes import copied, notes, uncounted
from vlm_confidence_tasks.report.claims.subjects import Subject, check_known, families
from vlm_confidence_tasks.report.claims.verdicts import (
    NOT_MEASURED,
    REFUTED,
    Decision,
    decide,
    one_image_decides_at,
    verdict,
)
from vlm_confidence_tasks.report.inputs.copies import Signature
from vlm_confidence_tasks.report.inputs.held_samples import read_held
from vlm_confidence_tasks.report.inputs.model_names import Model, name_models
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import OWN_KEY, TaskRun
from vlm_confidence_tasks.report.inputs.samples import SamplesError, documents
from vlm_confidence_tasks.report.leaderboard.selection import newest

# JSON types alone.
Record = dict[str, Any]
FORMAT = 3
LEVEL = 0.95
# Files that are held at once: the claims about one task stand together.
HELD = 4
NO_FAMILY = Subject("a family of sizes", ())
NO_PAIR = Subject("before and after CSP", ())


@dataclass(frozen=True)
class _Measurement:
    """A part of a claim, held against a subject.

    Attributes:
        effect: The number; None where it is not measured.
        decision: On the number.
        missing: The models and tasks that it needs and that there is no run of.
        unreadable: Those whose samples cannot be read.
        copied: What is said of those that are copies, and are not counted again.
    """

    claim: Claim
    subject: Subject
    part: Part
    effect: Effect | None
    missing: tuple[tuple[str, str], ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    copied: tuple[str, ...] = ()
    decision: Decision | None = None

    @property
    def key(self) -> tuple[int, Subject]:
        """Which claim about whom it is a part of."""
        return self.claim.number, self.subject


def judge(
    runs: Sequence[TaskRun],
    sizes: Sequence[Mapping[str, float]],
    pair: tuple[str, str] | None,
    problems: Problems,
    quiet: bool,
) -> Record:
    """Hold the newest run of each model and task against every claim; the others are named.

    `sizes` are, for each family that is given, parameters by model; `pair` names a model before and
    after training.

    Raises:
        ReportError: A model is named that no run is of, or in two families.
    """
    current, older = newest(runs)
    names = name_models([(run.model, run.results) for run in current], problems)
    by_task = {(names[run.model], run.task): run for run in current}
    models = {name: model for model, name in sorted(names.items(), key=lambda item: item[1])}
    check_known([*(name for each in sizes for name in each), *(pair or ())], list(models))
    subjects = {
        "model": [Subject(name, (name,)) for name in models],
        "family": families(list(models), sizes) or [NO_FAMILY],
        "pair": [Subject(f"{pair[0]} → {pair[1]}", pair)] if pair else [NO_PAIR],
    }
    signatures: dict[tuple[str, str], Signature] = {}
    load = _loader(by_task, signatures, problems)
    measured = list(_measurements(subjects, by_task, load, quiet))
    copies = dict(copied(signatures))
    found = _decided([_counted_once(each, copies) for each in measured])
    tested = [m for m in found if m.decision is not None and m.decision.interval]
    return {
        "format": FORMAT,
        "made_by": {OWN_KEY: __version__},
        "alpha": ALPHA,
        "tests": len(tested),
        "tested_claims": len({m.key for m in tested}),
        "models": list(models),
        "claims": [_claim(claim) for claim in CLAIMS],
        "verdicts": list(_verdicts(found, models)),
        "runs": [
            {
                "model": name,
                "task": run.task,
                "date": run.date,
                "whole": run.whole,
                "counts": run in current,
                "results": str(run.results),
            }
            for name, run in sorted(
                ((names[run.model], run) for run in runs),
                key=lambda each: (each[0], each[1].task, each[1].date),
            )
        ],
        "notes": [*uncounted(by_task, older, names), *copies.values(), *notes(by_task)],
        "problems": problems.lines,
    }


def _loader(
    runs: Mapping[tuple[str, str], TaskRun],
    signatures: dict[tuple[str, str], Signature],
    problems: Problems,
) -> Callable[[str, str], Documents | None]:
    """Return what reads the documents of a model's run of a task; None if they cannot be.

    The signature of each run that is read is put into `signatures`.
    """

    @lru_cache(maxsize=HELD)
    def load(model: str, task: str) -> Documents | None:
        run = runs[model, task]
        try:
            held = read_held(run)
        except SamplesError as error:
            problems.add_line(str(error))
            return None
        if (model, task) not in signatures:
            signatures[model, task] = Signature.of(held.file.samples, held.answers)
        return documents(held.file.samples)

    return load


def _measurements(
    subjects: Mapping[str, Sequence[Subject]],
    runs: Mapping[tuple[str, str], TaskRun],
    load: Callable[[str, str], Documents | None],
    quiet: bool,
) -> Iterator[_Measurement]:
    """Yield every part of every claim for each subject, a subject's together."""
    todo = [
        (claim, subject)
        for of, held in subjects.items()
        for subject in held
        for claim in CLAIMS
        if claim.of == of
    ]
    for claim, subject in tqdm(todo, desc="Claims", disable=quiet):
        for part in claim.parts:
            wanted = _wanted(subject, part)
            missing = tuple(key for key in wanted if key not in runs)
            if missing or not _enough(claim, subject):
                yield _Measurement(claim, subject, part, None, missing)
                continue
            held = {key: load(*key) for key in wanted}
            unreadable = tuple(key for key, each in held.items() if each is None)
            effect = None if unreadable else _effect(part, subject, held.values())
            yield _Measurement(claim, subject, part, effect, unreadable=unreadable)


def _wanted(subject: Subject, part: Part) -> list[tuple[str, str]]:
    return [(model, task) for model in subject.models for task in part.tasks]


def _counted_once(measured: _Measurement, copies: Mapping[tuple[str, str], str]) -> _Measurement:
    """Take the number from a part of a claim of whose runs one is a copy."""
    said = tuple(copies[key] for key in _wanted(measured.subject, measured.part) if key in copies)
    return replace(measured, effect=None, copied=said) if said else measured


def _enough(claim: Claim, subject: Subject) -> bool:
    if claim.of == "family":
        return subject.sizes >= FEWEST_SIZES
    return bool(subject.models)


def _effect(part: Part, subject: Subject, held: Iterable[Documents | None]) -> Effect | None:
    found = [each for each in held if each is not None]
    sizes = subject.parameters or (None,) * len(found)
    return part.effect([Measured(*pair) for pair in zip(found, sizes, strict=True)])


def _decided(measured: Sequence[_Measurement]) -> list[_Measurement]:
    """Decide on all claims together."""
    claims = _by_claim(measured)
    decided = decide([[(m.part, m.effect) for m in parts] for parts in claims])
    return [
        replace(part, decision=decision)
        for parts, decisions in zip(claims, decided, strict=True)
        for part, decision in zip(parts, decisions, strict=True)
    ]


def _by_claim(measured: Sequence[_Measurement]) -> list[list[_Measurement]]:
    """Group the parts of each claim about one subject, by claim."""
    grouped: dict[tuple[int, Subject], list[_Measurement]] = {}
    for each in measured:
        grouped.setdefault(each.key, []).append(each)
    # The sort is stable, and subjects keep their order.
    return [parts for _, parts in sorted(grouped.items(), key=lambda item: item[0][0])]


def _verdicts(found: Sequence[_Measurement], models: Mapping[str, Model]) -> Iterator[Record]:
    """Yield the verdict on each claim and subject, by claim."""
    for parts in _by_claim(found):
        number, subject = parts[0].key
        findings = [part.decision.finding if part.decision else None for part in parts]
        said = verdict(findings)
        yield {
            "claim": number,
            "subject": subject.name,
            "verdict": said,
            "decided_by": _decided_by(findings),
            "commands": _commands(parts, models) if said == NOT_MEASURED else [],
            "parts": [_part(part) for part in parts],
        }


def _decided_by(findings: Sequence[str | None]) -> int:
    """Return which part decided: the first that does not hold, or the first if all do."""
    ranked = [*REFUTED, None, "undecided", "holds"]
    return min(range(len(findings)), key=lambda n: ranked.index(findings[n]))


def _lack(measured: _Measurement) -> str:
    """Say why a part is not measured."""
    if measured.claim.of == "family" and not _enough(measured.claim, measured.subject):
        sizes = measured.subject.sizes
        return f"{sizes} size{'s' * (sizes != 1)} of a family, {FEWEST_SIZES} are needed"
    if not measured.subject.models:
        return "no two models named (--before, --after)"
    if measured.missing:
        return f"no run of {_tasks(measured.missing)}"
    if measured.unreadable:
        return f"the samples of {_tasks(measured.unreadable)} cannot be read"
    if measured.copied:
        return "; ".join(measured.copied)
    return "its runs hold no such numbers"


def _tasks(keys: Sequence[tuple[str, str]]) -> str:
    return ", ".join(dict.fromkeys(task for _, task in keys))


def _commands(parts: Sequence[_Measurement], models: Mapping[str, Model]) -> list[str]:
    """Return the commands that would measure what is missing, one a model.

    Where models are missing, "" stands for one that is to be named.
    """
    missing: dict[str, dict[str, None]] = {}
    for measured in parts:
        if not _enough(measured.claim, measured.subject):
            missing.setdefault("", {}).update(dict.fromkeys(measured.part.tasks))
        for model, task in measured.missing:
            missing.setdefault(model, {})[task] = None
    return [_command(models.get(name), list(tasks)) for name, tasks in missing.items()]


def _command(model: Model | None, tasks: Sequence[str]) -> str:
    """Return the command that runs a model, or one that is to be named, on tasks."""
    words = ["lmms_eval", "--model", model.adapter if model else "MODEL"]
    args = ",".join(f"{name}={value}" for name, value in model.args) if model else "pretrained=..."
    words += ["--model_args", args] if args else []
    words += ["--tasks", ",".join(tasks), "--output_path", "results", "--log_samples"]
    return shlex.join(words)


def _part(measured: _Measurement) -> Record:
    part, effect, decision = measured.part, measured.effect, measured.decision
    plain = None if effect is None else effect.at(LEVEL)
    shown = None if decision is None else decision.interval
    return {
        "name": part.name,
        "finding": None if decision is None else decision.finding,
        "effect": None if effect is None else effect.estimate,
        "low": None if shown is None else shown.low,
        "high": None if shown is None else shown.high,
        "level": None if decision is None else decision.level,
        "influence": None if shown is None else shown.influence,
        "one_image_decides": _one_image_decides(decision),
        **_power(measured),
        "low_95": None if plain is None else plain.low,
        "high_95": None if plain is None else plain.high,
        "documents": None if effect is None else effect.documents,
        "images": None if effect is None else effect.images,
        "missing": None if effect is not None else _lack(measured),
    }


def _power(measured: _Measurement) -> Record:
    """Return what such images show of an undecided part, and how many the smallest effect takes."""
    part, effect, decision = measured.part, measured.effect, measured.decision
    found = None
    if effect and decision and decision.level and decision.finding == "undecided":
        found = detectable(decision.interval, effect.images, decision.level)
    margin = abs(part.bound - part.none)
    return {
        "detectable_effect": None if found is None else found.effect,
        "images_needed": None if found is None else found.images_for(margin),
    }


def _one_image_decides(decision: Decision | None) -> bool:
    if decision is None or decision.interval is None or decision.level is None:
        return False
    return one_image_decides_at(decision.interval, decision.level)


def _claim(claim: Claim) -> Record:
    return {
        **vars(claim),
        "parts": [
            {name: value for name, value in vars(part).items() if name != "effect"}
            for part in claim.parts
        ],
    }
