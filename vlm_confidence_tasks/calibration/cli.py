"""The command `vlm-confidence csp`: its words and options."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path

from vlm_confidence_tasks.report.cli import Commands, positive


def add_csp(commands: Commands) -> None:
    """Add the command and its three subcommands."""
    csp = commands.add_parser(
        "csp",
        help="teach a model to say how sure it is: data, training, before and after",
        description="Calibration by semantic perturbation (arXiv 2504.14848): noise on the things "
        "that a question names, and the confidence that it leaves.",
    )
    steps = csp.add_subparsers(required=True, metavar="STEP")
    _add_data(steps)
    _add_train(steps)
    _add_evaluate(steps)


def _add_data(steps: Commands) -> None:
    made = steps.add_parser(
        "data",
        help="make examples from a benchmark or a folder of questions",
        description="Make a Hugging Face data set of noised images, the question how certain one "
        "is of an answer, and the confidence that the noise leaves.",
    )
    made.add_argument(
        "source",
        metavar="SOURCE",
        help="a benchmark's prefix (pope, amber_relation), or a folder of images with "
        "questions.jsonl: image, question and answer in each line",
    )
    made.add_argument("--output", type=Path, required=True, metavar="DIR")
    made.add_argument("--masks", required=True, metavar="PROVIDER", help="docs/masks.md")
    made.add_argument(
        "--data", metavar="DIR", help="local data of benchmarks, as in VLM_CONFIDENCE_DATA"
    )
    made.add_argument(
        "--answers",
        type=Path,
        metavar="SAMPLES.jsonl",
        help="quote a model's own answers, from a run's samples file; default: the data set's",
    )
    made.add_argument("--quiet", action="store_true", help="show no progress")
    _add_config(made)
    made.set_defaults(run=_later("data"))


def _add_train(steps: Commands) -> None:
    trained = steps.add_parser(
        "train",
        help="supervised fine-tuning, then SimPO",
        description="Train a model on examples: supervised fine-tuning, then simple preference "
        "optimisation (SimPO), with adapters or in full, as the configuration says.",
    )
    trained.add_argument("--model", required=True, metavar="HUB_ID_OR_FOLDER")
    trained.add_argument("--data", type=Path, required=True, metavar="DIR", help="of csp data")
    trained.add_argument("--output", type=Path, required=True, metavar="DIR")
    trained.add_argument("--seed", type=int, help="instead of the configuration's")
    trained.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    _add_config(trained)
    trained.set_defaults(run=_later("train"))


def _add_evaluate(steps: Commands) -> None:
    compared = steps.add_parser(
        "evaluate",
        help="the same tasks before and after training",
        description="Evaluate a model before and after training with lmms_eval, and print the "
        "paired differences with 95%% intervals over images. Refused where the tasks' images were "
        "trained on.",
    )
    compared.add_argument("--before", required=True, metavar="HUB_ID_OR_FOLDER")
    compared.add_argument("--after", required=True, metavar="FOLDER", help="model/ of csp train")
    compared.add_argument("--output", type=Path, required=True, metavar="DIR")
    compared.add_argument("--tasks", metavar="A,B", help="default: stated confidence under noise")
    compared.add_argument(
        "--data",
        metavar="DIR",
        help="local data of benchmarks, as in VLM_CONFIDENCE_DATA: held_out/ of csp data for the "
        "benchmark that was trained on",
    )
    compared.add_argument("--batch_size", type=positive, default=1)
    compared.add_argument("--limit", type=positive, help="documents of each task")
    compared.set_defaults(run=_later("evaluate"))


def _add_config(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--config",
        default="csp",
        metavar="NAME_OR_YAML",
        help="csp (default), sft_only, simpo_only, global_noise, first_person, "
        "shuffled_confidence, or a YAML file (docs/csp.md)",
    )


def _later(name: str) -> Callable[[argparse.Namespace], int]:
    """Return a subcommand whose packages are imported when it is run."""

    def run(options: argparse.Namespace) -> int:
        commands = importlib.import_module("vlm_confidence_tasks.calibration.commands")
        done: int = getattr(commands, name)(options)
        return done

    return run
