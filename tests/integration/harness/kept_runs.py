"""Evaluations in this process that keep their answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmms_eval import evaluator
from lmms_eval.tasks import TaskManager
from loguru import logger

TEMPLATE = (
    "class: !function vlm_confidence_tasks.harness.task.PerturbedTask\n"
    "benchmark: pope\ntest_split: test\ncluster_key: image_id\n"
    "generation_kwargs: {max_new_tokens: 16, temperature: 0}\nmetrics: all\n"
    # The prompt that the model was trained with; after another it says what is no label.
    'lmms_eval_specific_kwargs: {default: {post_prompt: "\\nAnswer the question using a single '
    'word or phrase."}}\n'
)


def write_tasks(folder: Path, **bodies: str) -> str:
    """Write YAMLs, each the template and what is its own; a key given twice counts last."""
    for name, body in bodies.items():
        own = dict(line.split(":", 1) for line in (f"task: {name}\n{body}").splitlines())
        keys = dict(line.split(":", 1) for line in TEMPLATE.splitlines())
        lines = [f"{key}:{value}" for key, value in (keys | own).items()]
        (folder / f"{name}.yaml").write_text("\n".join(lines) + "\n")
    return str(folder)


@contextmanager
def said() -> Iterator[list[str]]:
    """Collect what is logged in the block."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="INFO")
    try:
        yield lines
    finally:
        logger.remove(sink)


def evaluate(manager: TaskManager, tasks: list[str], folder: Path | None = None, **options: Any):
    """Evaluate the embedded model by name, as the command line does."""
    options = {"limit": 3, "model_args": "", "batch_size": 1, **options}
    return evaluator.simple_evaluate(
        options.pop("model", "tiny_llava"),
        tasks=tasks,
        task_manager=manager,
        log_samples=True,
        bootstrap_iters=0,
        use_cache=None if folder is None else str(folder),
        **options,
    )


def reused(lines: list[str]) -> str:
    """Return the number of reused answers that a run logged."""
    (line,) = [line for line in lines if "reused" in line]
    return line
