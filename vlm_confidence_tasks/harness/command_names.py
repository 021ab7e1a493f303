"""Names on the command line that are none, and errors of the harness that do not say what is."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmms_eval.models import MODEL_REGISTRY_V2
from lmms_eval.tasks import TaskManager
from lmms_eval.utils import simple_parse_args_string

from vlm_confidence_tasks.errors import TaskError, nearest, one_line
from vlm_confidence_tasks.models import manifests


# The harness has no types.
class CheckedTasks(TaskManager):  # type: ignore[misc]
    """The harness's tasks, with an error for names that are none."""

    def match_tasks(self, task_list: Sequence[str]) -> list[str]:
        """Return the tasks of names and patterns.

        Raises:
            TaskError: A name is not that of a task, group, tag or file, or a pattern fits none.
        """
        found: list[str] = super().match_tasks(task_list)
        for name in task_list:
            pattern = any(mark in name for mark in "*?[")
            if name in found or Path(name).is_file() or (pattern and super().match_tasks([name])):
                continue
            raise TaskError(
                f"Tasks not found: {name}{nearest(name, self.all_tasks)}; "
                "`lmms_eval tasks list` shows all"
            )
        return found


def check_names(args: Any) -> None:
    """Check what a run's arguments name, before anything is loaded.

    Raises:
        TaskError: There is no such model, or an argument would be read as another than it is.
    """
    if not args.tasks:
        raise TaskError("name the tasks with --tasks; `lmms_eval tasks list` shows them")
    models = MODEL_REGISTRY_V2.list_model_names()
    if args.model not in models:
        raise TaskError(
            f"--model {args.model}: no such adapter{nearest(args.model, models)}; "
            "`lmms_eval models` shows all"
        )
    if args.apply_chat_template and not hasattr(_adapter(args), "apply_chat_template"):
        raise TaskError(
            f"--apply_chat_template: adapter {args.model} cannot apply one to a text: leave it "
            "out; adapters of chat models use their model's template by themselves"
        )
    # The harness reads it as one of several arguments with values of any type.
    output = args.output_path and simple_parse_args_string(f"output_path={args.output_path}")
    if output and output != {"output_path": args.output_path}:
        raise TaskError(
            f"--output_path {args.output_path}: lmms_eval would read another name out of this one: "
            "give one without commas that is no number, true or false"
        )


def _adapter(args: Any) -> type:
    adapter: type = MODEL_REGISTRY_V2.get_model_class(args.model, force_simple=args.force_simple)
    return adapter


def explained(error: Exception, model: str) -> str:
    """Return an error's message; of an adapter whose package is missing, say so.

    Adapters of the harness import what they need where it is installed, and go on without.
    """
    made = {"get_model_class", "create_from_arg_string"}
    frames = traceback.extract_tb(error.__traceback__)
    if not isinstance(error, NameError | ImportError) or made.isdisjoint(f.name for f in frames):
        return str(error)
    ours = nearest(model, [manifest.model_id for manifest in manifests()])
    return (
        f"--model {model}: lmms-eval's adapter of this name cannot be loaded{ours}; is the package "
        f"installed that it needs? {one_line(error)}"
    )
