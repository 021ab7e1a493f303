"""Training: supervised fine-tuning, then SimPO, from a data set of examples to a model."""

import csv
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers import Trainer

from vlm_confidence_tasks import __version__
from vlm_confidence_tasks.calibration.config import Config, StageConfig, to_mapping
from vlm_confidence_tasks.calibration.data import load_examples
from vlm_confidence_tasks.calibration.models import (
    check_packages,
    load_model,
    load_processor,
    save_model,
)
from vlm_confidence_tasks.calibration.stages import (
    Losses,
    run_stage,
    sft_trainer,
    simpo_trainer,
)
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.report.figures.drawing import draw, to_bytes
from vlm_confidence_tasks.report.figures.figure_data import Figure, Panel, Series

MODEL, RECORD = "model", "csp.json"
# Of `loss.csv`.
COLUMNS = ("stage", "step", "loss", "learning_rate")


def train(source: str, data: Path, output: Path, config: Config, resume: bool = False) -> Path:
    """Train a model, a hub id or folder, on data of `csp data`; return the folder of the new one.

    The output gets checkpoints in `sft` and `simpo`, from which `resume` goes on, `loss.csv`,
    `loss.png`, and in `model` the trained model with a record of what it was trained on.

    Raises:
        TaskError: Packages, model or data cannot be used, or `output` holds checkpoints and is
            not to be resumed.
    """
    check_packages()
    if config.train.sft is None and config.train.simpo is None:
        raise TaskError("configuration: train.sft and train.simpo are both null: give one")
    if not resume and any(output.glob("*/checkpoint-*")):
        raise TaskError(f"{output}: holds checkpoints: add --resume, or name another folder")
    examples = load_examples(data)
    processor = load_processor(source)
    model = load_model(source, config.train)
    curves, started = {}, time.monotonic()
    stages: list[tuple[str, StageConfig | None, Callable[..., Trainer]]] = [
        ("sft", config.train.sft, sft_trainer),
        ("simpo", config.train.simpo, simpo_trainer),
    ]
    for name, stage, trainer in stages:
        if stage is not None:
            made = trainer(model, processor, examples, stage, config.train, output / name)
            curves[name] = run_stage(made, output / name, resume)
    write_curves(curves, output)
    save_model(model, processor, output / MODEL)
    record = {
        "vlm_confidence_tasks": __version__,
        "model": source,
        "config": to_mapping(config),
        "seconds": round(time.monotonic() - started, 1),
        "images": sorted({*trained_images(source), *examples["image_sha256"]}),
    }
    (output / MODEL / RECORD).write_text(json.dumps(record, indent=1))
    return output / MODEL


def write_curves(curves: Mapping[str, Losses], output: Path) -> None:
    """Write `loss.csv` and `loss.png` of each stage's (step, loss, learning rate) into a folder."""
    with (output / "loss.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for stage, losses in curves.items():
            writer.writerows((stage, *row) for row in losses)
    (output / "loss.png").write_bytes(to_bytes(draw(_figure(curves)), "png"))


def _figure(curves: Mapping[str, Losses]) -> Figure:
    panels = [
        Panel(
            "line",
            stage,
            "step",
            "loss (nats)",
            (Series("", [row[0] for row in losses], [row[1] for row in losses]),),
        )
        for stage, losses in curves.items()
    ]
    return Figure("loss", "Training loss", tuple(panels))


def trained_images(source: str) -> set[str]:
    """Return the digests of the images that `train` trained a model on; else none."""
    file = Path(source) / RECORD
    if not file.exists():
        return set()
    try:
        record: dict[str, Any] = json.loads(file.read_text())
        return set(record["images"])
    except (ValueError, KeyError, TypeError) as error:
        raise TaskError(f"{file}: not a record of training: {error}") from error


def check_unseen(seen: set[str], evaluated: Iterable[tuple[str, set[str]]]) -> None:
    """Raise TaskError if images in training are also those of a benchmark, (name, digests) each."""
    for name, digests in evaluated:
        if common := seen & digests:
            raise TaskError(
                f"{name}: {len(common)} of its {len(digests)} images were trained on, so that its "
                "numbers would say nothing: evaluate on the folder held_out of the data with "
                "--data, or train on other images"
            )
