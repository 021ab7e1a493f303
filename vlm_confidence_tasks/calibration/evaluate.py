"""Before and after: the same tasks with both models, and the paired differences."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from vlm_confidence_tasks.benchmarks.base import LOCAL_DATA
from vlm_confidence_tasks.calibration.sources import benchmark_data, prefix_of
from vlm_confidence_tasks.calibration.train import check_unseen, trained_images
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.report import compare
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.sandbox import data_folder

# In a process of its own, which the harness changes.
PROGRAM = (sys.executable, "-m", "vlm_confidence_tasks")
# Third person, which is trained, beside first person; then what the training noise is not.
TASKS = (
    "pope_objectnoise",
    "pope_verbal3",
    "pope_verbal1",
    "pope_blur_verbal3",
    "pope_lowlight_verbal3",
    "pope_occlusion_verbal3",
    "amber_relation_verbal3",
)
# What the page shows; the JSON file has all metrics.
METRICS = (
    "accuracy",
    "f1",
    "ece",
    "ece_debiased",
    "verbal_ece",
    "verbal_ece_debiased",
    "verbal_accuracy",
    "verbal_f1",
    "verbal_alignment",
    "verbal_objectnoise_alignment",
    "objectnoise_alignment",
    "verbal_invalid_rate",
)
HEAD = """# Before and after

Before: `{before}`. After: `{after}`. Perturbed images, the documents that both answered; 95%
intervals of after - before, paired over images. All metrics: `comparison.json`.

"""


def evaluate(
    before: str,
    after: str,
    output: Path,
    tasks: Sequence[str] = TASKS,
    data: str | None = None,
    more: Sequence[str] = (),
) -> compare.Comparison:
    """Evaluate two models and compare them; write `comparison.json` and `comparison.md`.

    The models, before and after training, are hub ids or folders; runs are in `before` and `after`
    of the output. `data` is a folder of local data, by default that of VLM_CONFIDENCE_DATA; `more`
    are further arguments of `lmms_eval`.

    Raises:
        TaskError: A model was trained on images of the tasks, a run failed, or the runs have
            nothing in common.
    """
    check_held_out([before, after], tasks, data)
    folders = [output / "before", output / "after"]
    for model, folder in zip((before, after), folders, strict=True):
        run_tasks(model, tasks, folder, data, more)
    problems = Problems()
    comparison = compare.compare_runs(folders, problems)
    if problems.lines:
        raise TaskError(problems.lines[0])
    (output / "comparison.json").write_text(json.dumps(compare.to_record(comparison), indent=2))
    text = HEAD.format(before=before, after=after) + "\n".join(table(comparison.differences)) + "\n"
    (output / "comparison.md").write_text(text)
    return comparison


def check_held_out(models: Iterable[str], tasks: Iterable[str], data: str | None) -> None:
    """Raise TaskError if a model was trained on images of the tasks."""
    seen = {digest for model in models for digest in trained_images(model)}
    if seen:
        prefixes = dict.fromkeys(map(prefix_of, tasks))
        local = data_folder(data)
        check_unseen(seen, ((p, benchmark_data(p, local).image_digests()) for p in prefixes))


def run_tasks(
    model: str, tasks: Sequence[str], folder: Path, data: str | None, more: Sequence[str] = ()
) -> None:
    """Evaluate a model by the command line, or raise TaskError; results go to a folder.

    `data` is a folder of local data, None: as the environment says; `more` are further arguments
    of `lmms_eval`.
    """
    command = [
        *(*PROGRAM, "--model", "hf_multimodal"),
        *("--model_args", f"pretrained={model}", "--tasks", ",".join(tasks)),
        *("--output_path", str(folder), "--log_samples", *more),
    ]
    environment = {**os.environ, **({} if data is None else {LOCAL_DATA: data})}
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        raise TaskError(f"evaluation of {model} failed, for the reason above: {' '.join(command)}")


def table(differences: Iterable[compare.Difference]) -> Iterator[str]:
    """Yield the lines of a Markdown table of `METRICS`, a task after the other."""
    yield "| task | metric | documents | before | after | after - before | 95% |"
    yield "|---|---|---|---|---|---|---|"
    chosen = [row for row in differences if row.metric in METRICS]
    tasks = list(dict.fromkeys(row.task for row in chosen))
    for row in sorted(chosen, key=lambda r: (tasks.index(r.task), METRICS.index(r.metric))):
        ends = "-" if row.low is None else f"[{row.low:+.3f}, {row.high:+.3f}]"
        yield (
            f"| {row.task} | `{row.metric}` | {row.documents} | {row.a:.3f} | {row.b:.3f} | "
            f"{row.difference:+.3f} | {ends} |"
        )
