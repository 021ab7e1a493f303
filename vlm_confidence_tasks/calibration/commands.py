"""What the subcommands of `vlm-confidence csp` do."""

from __future__ import annotations

import argparse
from pathlib import Path

from msgspec.structs import replace

from vlm_confidence_tasks.calibration.card import write_card
from vlm_confidence_tasks.calibration.config import read_config, to_mapping
from vlm_confidence_tasks.calibration.data import write_examples
from vlm_confidence_tasks.calibration.sources import (
    Answers,
    BenchmarkData,
    benchmark_data,
    folder_questions,
    is_folder,
)
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.masks import QuestionMasks, provider
from vlm_confidence_tasks.report.inputs.samples import read_samples
from vlm_confidence_tasks.sandbox import data_folder

HELD_OUT = "held_out"


def data(options: argparse.Namespace) -> int:
    """Make a data set of examples."""
    config = read_config(options.config)
    finder = QuestionMasks(provider(options.masks), config.data.on_missing)
    if is_folder(options.source) and options.answers is not None:
        raise TaskError("--answers is of a run on a benchmark: a folder's questions have their own")
    source = None if is_folder(options.source) else _benchmark(options)
    if source is None:
        asked = folder_questions(Path(options.source))
    else:
        asked = source.asked(None if options.answers is None else read_answers(options.answers))
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
        source.write(counts.held_out_rows, options.output / HELD_OUT)
    print(options.output)
    return 0


def train(options: argparse.Namespace) -> int:
    """Train a model."""
    # torch and transformers take seconds to import.
    from vlm_confidence_tasks.calibration import train as training

    config = read_config(options.config)
    if options.seed is not None:
        config = replace(config, train=replace(config.train, seed=options.seed))
    print(training.train(options.model, options.data, options.output, config, options.resume))
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Compare a model before and after training."""
    from vlm_confidence_tasks.calibration import evaluate as evaluation

    tasks = evaluation.TASKS if options.tasks is None else options.tasks.split(",")
    more = ["--batch_size", str(options.batch_size)]
    if options.limit is not None:
        more += ["--limit", str(options.limit)]
    found = evaluation.evaluate(
        options.before, options.after, options.output, tasks, options.data, more
    )
    print("\n".join(evaluation.table(found.differences)))
    for note in found.notes:
        print(note)
    return 0


def read_answers(samples: Path) -> Answers:
    """Return the labels that a model gave on clean images, from a run's samples file.

    Raises:
        SamplesError: The file cannot be read.
    """
    return {
        sample.identity: sample.clean.answer
        for sample in read_samples(samples).samples
        if sample.clean.answer is not None
    }


def _benchmark(options: argparse.Namespace) -> BenchmarkData:
    return benchmark_data(options.source, data_folder(options.data))
