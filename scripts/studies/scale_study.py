"""Are larger models of a family steadier? Train, evaluate and write docs/studies/scale.md.

    python scripts/studies/scale_study.py FOLDER    # the embedded model's
    python scripts/studies/scale_study.py FOLDER --study STUDY.yaml --page x.md    # some: sizes/

FOLDER gets models, runs and logs; what it holds already is not made again, so other weights or
tasks need another one.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import yaml

from page_parts import STUDIES, is_evaluated, measured, metric_table, samples_of, table
from vlm_confidence_tasks.benchmarks.base import LOCAL_DATA
from vlm_confidence_tasks.calibration import evaluate as evaluation
from vlm_confidence_tasks.cli.options import positive
from vlm_confidence_tasks.report.claims.record import judge
from vlm_confidence_tasks.report.formats.markdown import safe
from vlm_confidence_tasks.report.inputs.model_names import name_models
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import TaskRun, find_runs

HERE = Path(__file__).resolve().parent
STUDY = HERE / "sizes" / "sandbox.yaml"
PAGE = STUDIES / "scale.md"
# Columns of a task's table.
COLUMNS = (
    "accuracy_clean",
    "accuracy",
    "ifr",
    "drift_ratio_context",
    "ece_clean",
    "ece",
    "overconfidence",
)
MODEL_HEADS = ("size", "model", "parameters", "steps", "trained in", "of a processor")
STEADIER = 6
"""Number of the claim about sizes."""

TEXT = """# Scale: {title}

Are larger models of a family steadier? The same tasks on each size: accuracy, flips
(`ifr`), drift against another image's (`drift_ratio_context`) and calibration error
([all columns](../reading-the-numbers.md)), with 95% intervals over images. Of a size that was
trained several times the numbers are of all its models' answers together, with each one's own in
brackets: the intervals know of images, not of other trainings. Written by
`scripts/studies/scale_study.py`; to run it again (it goes on where it was stopped):

```sh
{command}
```

## Models

{models}

{tables}
## Steadier?

{verdict}
{reading}"""


class Model(msgspec.Struct, forbid_unknown_fields=True):
    """A checkpoint of a study.

    Attributes:
        size: Its size's name: a row of the tables, which models of one size share.
        name: Its own name, of its files in the study's folder and in other tables.
        model: Adapter of `lmms_eval`.
        pretrained: Hub id or folder, from the study's file; None: it is trained.
        model_args: Further arguments of the adapter.
        parameters: How many it has; None: as its training says.
        train: Options of `train_tiny_llava.py`.
    """

    size: str
    name: str
    model: str
    pretrained: str | None = None
    model_args: str = ""
    parameters: float | None = None
    train: tuple[str, ...] = ()


class Study(msgspec.Struct, forbid_unknown_fields=True):
    """What is evaluated, and how.

    Attributes:
        title: Of the page.
        tasks: Of `lmms_eval`, all with drift, or without that column.
        models: From small to large.
        arguments: Further arguments of `lmms_eval`.
        data: Local data, as `VLM_CONFIDENCE_DATA` takes it; None: the hub's.
        reading: Text at the page's end.
    """

    title: str
    tasks: tuple[str, ...]
    models: tuple[Model, ...]
    arguments: tuple[str, ...] = ()
    data: str | None = None
    reading: str = ""


class Training(msgspec.Struct):
    """What `train_tiny_llava.py` says of a model: the part that the page shows."""

    parameters: int
    steps: int
    seconds: float
    processor_seconds: float
    threads: int


def read_study(file: Path) -> Study:
    """Read a study's file.

    Raises:
        SystemExit: It is none, with one line that says why.
    """
    try:
        study = msgspec.convert(yaml.safe_load(file.read_text()), Study, strict=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise SystemExit(f"{file}: {' '.join(str(error).split())}") from error
    if not study.models or not study.tasks:
        raise SystemExit(f"{file}: give at least one of tasks and one of models")
    names = [model.name for model in study.models]
    if len(set(names)) < len(names):
        raise SystemExit(f"{file}: two models have one name")
    for model in study.models:
        if (model.pretrained is None) == (not model.train):
            raise SystemExit(f"{file}: {model.name}: give either pretrained or train")
        if model.parameters is not None and not 0 < model.parameters < math.inf:
            raise SystemExit(f"{file}: {model.name}: parameters must be above 0")
        if model.pretrained and (local := file.parent / model.pretrained).is_dir():
            model.pretrained = str(local.resolve())
    return study


def path_of(folder: Path, model: Model) -> str:
    """Return the hub id of a model, or its folder, which has its name."""
    local = folder / "models" / model.name
    if model.pretrained and Path(model.pretrained).is_dir() and not local.exists():
        local.parent.mkdir(exist_ok=True)
        local.symlink_to(model.pretrained)
    return str(local) if model.train or local.exists() else str(model.pretrained)


def make(folder: Path, study: Study, model: Model) -> None:
    """Train and evaluate a model, as far as that was not done."""
    path = path_of(folder, model)
    if model.train and not (Path(path) / "training.json").exists():
        script = str(HERE.parent / "sandbox" / "train_tiny_llava.py")
        options = ["--threads", os.environ["OMP_NUM_THREADS"], "--output", path]
        run([sys.executable, script, *options, *model.train], folder / f"{model.name}-train.log")
    output = folder / "runs" / model.name
    if is_evaluated(output):
        return
    arguments = ",".join(filter(None, [f"pretrained={path}", model.model_args]))
    command = [*evaluation.PROGRAM, "--model", model.model, "--model_args", arguments]
    command += ["--tasks", ",".join(study.tasks), "--log_samples"]
    command += ["--output_path", str(output), *study.arguments]
    run(command, folder / f"{model.name}.log", **({LOCAL_DATA: study.data} if study.data else {}))


def run(command: Sequence[str], log: Path, **environment: str) -> None:
    """Run a command, what it prints into a file.

    Raises:
        SystemExit: It failed.
    """
    print(shlex.join(command), flush=True)
    with log.open("w") as file:
        done = subprocess.run(
            command, env={**os.environ, **environment}, stdout=file, stderr=file, check=False
        )
    if done.returncode:
        raise SystemExit(f"failed, for the reason at the end of {log}: {shlex.join(command)}")


def training_of(folder: Path, model: Model) -> Training | None:
    """Read what the training of a model says of it; None of others' checkpoints."""
    file = folder / "models" / model.name / "training.json"
    return msgspec.json.decode(file.read_bytes(), type=Training) if file.exists() else None


def parameters(folder: Path, model: Model) -> float:
    """Return how many parameters a model has.

    Raises:
        SystemExit: Neither the study nor its training says so.
    """
    if model.parameters is not None:
        return model.parameters
    training = training_of(folder, model)
    if training is None:
        raise SystemExit(f"{model.name}: its study must say how many parameters it has")
    return training.parameters


def tables(folder: Path, study: Study) -> Iterator[str]:
    """Yield the lines of a table a task, a row a size."""
    sizes: dict[str, list[Model]] = {}
    for model in study.models:
        sizes.setdefault(model.size, []).append(model)
    for task in study.tasks:
        found = {
            safe(size): measured(
                [samples_of(folder / "runs" / m.name, task) for m in models], COLUMNS
            )
            for size, models in sizes.items()
        }
        shown = [c for c in COLUMNS if any(c in joined for joined, _ in found.values())]
        yield f"## `{task}`\n"
        if shown:
            yield from metric_table("size", shown, found)
        else:
            yield f"No run of it has one of these numbers: {', '.join(COLUMNS)}."
        yield ""


def model_rows(folder: Path, study: Study) -> Iterator[list[str]]:
    """Yield the rows of the table of models."""
    for model in study.models:
        count, training = parameters(folder, model), training_of(folder, model)
        cells = ["-"] * 3
        if training is not None:
            threads = f"{training.threads} thread{'s' if training.threads > 1 else ''}"
            cells = [
                str(training.steps),
                f"{training.seconds / 60:.0f} min, {threads}",
                f"{training.processor_seconds / 60:.0f} min",
            ]
        yield [safe(model.size), safe(model.name), f"{count / 1e6:,.2f} million", *cells]


def runs_of(folder: Path) -> list[TaskRun]:
    """Return the runs of a study.

    Raises:
        SystemExit: One of them cannot be read.
    """
    problems = Problems()
    runs = find_runs([folder / "runs"], problems)
    if problems.lines:
        raise SystemExit("\n".join(problems.lines))
    return runs


def sizes_of(folder: Path, study: Study) -> dict[str, float]:
    """Return the parameters of each model by its name in tables."""
    runs = runs_of(folder)
    names = name_models([(run.model, run.results) for run in runs], Problems())
    return {
        names[run.model]: parameters(folder, model)
        for model in study.models
        for run in runs
        if run.results.is_relative_to(folder / "runs" / model.name)
    }


def verdict(folder: Path, study: Study, where: str) -> str:
    """Say what the test of claim 6 finds, of the study in the folder that is written `where`."""
    problems = Problems()
    sizes = sizes_of(folder, study)
    record = judge(runs_of(folder), [sizes], None, problems, quiet=True)
    if problems.lines:
        raise SystemExit("\n".join(problems.lines))
    (found,) = [each for each in record["verdicts"] if each["claim"] == STEADIER]
    (part,) = found["parts"]
    return (
        "Claim 6 of [nine](../claims.md) says that larger models are not steadier: the slope of a\n"
        "question's flip rate over log2 of the parameters, the change with each doubling, would\n"
        f"be above -0.01. Here: **{found['verdict']}**, {said(part, record['tests'])}\n"
        f"(`vlm-confidence claims {shlex.quote(f'{where}/runs')} --output verdicts --sizes "
        f"{shlex.join(options(sizes))}`).\n"
    )


def options(sizes: dict[str, float]) -> list[str]:
    """Write sizes as `vlm-confidence claims --sizes` takes them."""
    return [f"{name}={count:.0f}" for name, count in sizes.items()]


def said(part: dict[str, Any], tests: int) -> str:
    """Put the effect of claim 6 into words, with the intervals of 95% and of the decision.

    Args:
        part: Of the record of `judge`.
        tests: Parts that were tested together.
    """
    if part["effect"] is None:
        return str(part["missing"])
    over = f" a doubling, over {part['images']} images"
    if part["low"] is None:
        return f"{part['effect']:.3f}{over}, no interval"
    return (
        f"{part['effect']:.3f} [{part['low_95']:.3f}, {part['high_95']:.3f}]{over}; decided by\n"
        f"[{part['low']:.3f}, {part['high']:.3f}], at {part['level']:.2%}, since {tests} parts of "
        "claims\nwere tested together"
    )


def page(folder: Path, study: Study, where: str, options: Sequence[str]) -> str:
    """Return the page, with the command that makes it: the folder as written, and its options."""
    return TEXT.format(
        title=study.title,
        command=shlex.join(["python", "scripts/studies/scale_study.py", where, *options]),
        models="\n".join(table(MODEL_HEADS, model_rows(folder, study))),
        tables="\n".join(tables(folder, study)),
        verdict=verdict(folder, study, where),
        reading=study.reading,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and write its page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for models, runs and logs")
    parser.add_argument("--study", type=Path, help="default: the embedded model's")
    parser.add_argument("--workers", type=positive, default=1, help="models at a time")
    parser.add_argument(
        "--page", type=Path, help="needed with --study; default: docs/studies/scale.md"
    )
    parser.add_argument(
        "--sizes", action="store_true", help="print models with sizes, one a line, and end"
    )
    given = parser.parse_args(arguments)
    if given.study and not given.page and not given.sizes:
        parser.error("--study needs --page, since docs/studies/scale.md is of the embedded model")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    study, folder = read_study(given.study or STUDY), given.folder.resolve()
    if given.sizes:
        print("\n".join(options(sizes_of(folder, study))))
        return
    output = given.page or PAGE
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise SystemExit(f"--page {output}: give a file in a folder that there is")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"{folder}: {error.strerror}; give a folder") from error
    with ThreadPoolExecutor(given.workers) as pool:
        # The largest first, so that none is left to run alone.
        made = [pool.submit(make, folder, study, model) for model in reversed(study.models)]
        for each in made:
            each.result()
    named = ["--study", str(given.study), "--page", str(given.page)] if given.study else []
    output.write_text(page(folder, study, given.folder.name, named))


if __name__ == "__main__":
    main()
