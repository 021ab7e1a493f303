"""`vlm-confidence csp`: data, training, and the comparison before and after."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vlm_confidence_tasks.cli.options import Commands, add_quiet, positive
from vlm_confidence_tasks.errors import TaskError

if TYPE_CHECKING:
    from vlm_confidence_tasks.calibration.sources import QuotedAnswers


def add(commands: Commands) -> None:
    """Add the command and its three steps."""
    parser = commands.add_parser(
        "csp",
        help="teach a model to say how sure it is: data, training, before and after",
        description="Calibration by semantic perturbation (arXiv 2504.14848): noise on the things "
        "that a question names, and the confidence that it leaves.",
    )
    steps = parser.add_subparsers(required=True, metavar="STEP")
    _add_data(steps)
    _add_train(steps)
    _add_evaluate(steps)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Take the step that is named."""
    step: Callable[[argparse.Namespace], None] = options.step
    step(options)
    return 0


def _add_data(steps: Commands) -> None:
    parser = steps.add_parser(
        "data",
        help="make examples from a benchmark or a folder of questions",
        description="Make a Hugging Face data set of noised images, the question how certain one "
        "is of an answer, and the confidence that the noise leaves.",
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a benchmark's prefix (pope, amber_relation), or a folder of images with "
        "questions.jsonl: image, question and answer in each line",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--masks", required=True, metavar="PROVIDER", help="docs/masks.md")
    parser.add_argument(
        "--data", metavar="DIR", help="local data of benchmarks, as in VLM_CONFIDENCE_DATA"
    )
    parser.add_argument(
        "--answers",
        type=Path,
        metavar="SAMPLES.jsonl",
        help="quote a model's own answers, from a run's samples file; default: the data set's",
    )
    add_quiet(parser)
    _add_config(parser)
    parser.set_defaults(step=data)


def _add_train(steps: Commands) -> None:
    parser = steps.add_parser(
        "train",
        help="supervised fine-tuning, then SimPO",
        description="Train a model on examples: supervised fine-tuning, then simple preference "
        "optimisation (SimPO), with adapters or in full, as the configuration says.",
    )
    parser.add_argument("--model", required=True, metavar="HUB_ID_OR_FOLDER")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="of csp data")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seed", type=int, help="instead of the configuration's")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    _add_config(parser)
    parser.set_defaults(step=train)


def _add_evaluate(steps: Commands) -> None:
    parser = steps.add_parser(
        "evaluate",
        help="the same tasks before and after training",
        description="Evaluate a model before and after training with lmms_eval, and print the "
        "paired differences with 95%% intervals over images. Refused where the tasks' images were "
        "trained on.",
    )
    parser.add_argument("--before", required=True, metavar="HUB_ID_OR_FOLDER")
    parser.add_argument("--after", required=True, metavar="FOLDER", help="model/ of csp train")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--tasks", metavar="A,B", help="default: stated confidence under noise")
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="local data of benchmarks, as in VLM_CONFIDENCE_DATA: held_out/ of csp data for the "
        "benchmark that was trained on",
    )
    parser.add_argument("--batch_size", type=positive, default=1)
    parser.add_argument("--limit", type=positive, help="documents of each task")
    parser.set_defaults(step=evaluate)


def _add_config(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--config",
        default="csp",
        metavar="NAME_OR_YAML",
        help="csp (default), sft_only, simpo_only, global_noise, first_person, "
        "shuffled_confidence, or a YAML file (docs/csp.md)",
    )


def data(options: argparse.Namespace) -> None:
    """Make a data set of examples."""
    from vlm_confidence_tasks.calibration.card import write_card
    from vlm_confidence_tasks.calibration.config import read_config, to_mapping
    from vlm_confidence_tasks.calibration.data import write_examples
    from vlm_confidence_tasks.calibration.sources import benchmark_data, folder_questions, is_folder
    from vlm_confidence_tasks.masks import QuestionMasks, provider
    from vlm_confidence_tasks.sandbox import data_folder

    config = read_config(options.config)
    finder = QuestionMasks(provider(options.masks), config.data.on_missing)
    if is_folder(options.source):
        if options.answers is not None:
            raise TaskError(
                "--answers is of a run on a benchmark: a folder's questions have their own"
            )
        source = None
        asked = folder_questions(Path(options.source))
    else:
        source = benchmark_data(options.source, data_folder(options.data))
        asked = source.asked(None if options.answers is None else _read_answers(options.answers))
    counts = write_examples(asked, finder.of, config.data, options.output, options.quiet)
    write_card(
        options.output,
        counts,
        to_mapping(config)["data"],
        source=options.source,
        answers="the data set's" if options.answers is None else f"a model's, {options.answers}",
        masks=finder.name,
    )
    if source is not None and counts.held_out_rows:
        source.write(counts.held_out_rows, options.output / "held_out")
    print(options.output)


def train(options: argparse.Namespace) -> None:
    """Train a model."""
    from msgspec.structs import replace

    from vlm_confidence_tasks.calibration import train as training
    from vlm_confidence_tasks.calibration.config import read_config

    config = read_config(options.config)
    if options.seed is not None:
        config = replace(config, train=replace(config.train, seed=options.seed))
    print(training.train(options.model, options.data, options.output, config, options.resume))


def evaluate(options: argparse.Namespace) -> None:
    """Compare a model before and after training."""
    from vlm_confidence_tasks.calibration import evaluate as evaluation

    tasks = evaluation.TASKS if options.tasks is None else options.tasks.split(",")
    more = ["--batch_size", str(options.batch_size)]
    if options.limit is not None:
        more += ["--limit", str(options.limit)]
    comparison = evaluation.evaluate(
        options.before, options.after, options.output, tasks, options.data, more
    )
    print("\n".join(evaluation.table(comparison.differences)))
    for note in comparison.notes:
        print(note)


def _read_answers(samples: Path) -> QuotedAnswers:
    """Return the labels that a model gave on clean images, from a run's samples file."""
    from vlm_confidence_tasks.report.inputs.held_samples import read_beside

    return {
        sample.identity: sample.clean.answer
        for sample in read_beside(samples).file.samples
        if sample.clean.answer is not None
    }
