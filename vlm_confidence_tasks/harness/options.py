"""Options of lmms_eval that change what is asked: applied to our tasks, or refused."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.errors import TaskError, nearest
from vlm_confidence_tasks.probe.backend import find_model, find_processor, known_arguments


def check_options(
    lm: Any, tasks: Sequence[Any], every: Sequence[Any], given: Mapping[str, Any]
) -> None:
    """Check the options of an evaluation that has tasks of ours.

    Args:
        lm: The harness's adapter.
        tasks: The tasks of this package.
        every: All tasks of the evaluation.
        given: The arguments of the harness's `evaluate()`.

    Raises:
        TaskError: An option would be ignored, or applied in another way than it says.
    """
    _check_limit(given.get("limit"), every)
    for task in tasks:
        documents = len(task.eval_docs)
        if (given.get("offset") or 0) >= documents:
            raise TaskError(
                f"--offset {given['offset']}: task {task.task_name} has {documents} documents"
            )
    if given.get("apply_chat_template"):
        raise TaskError(
            "leave out --apply_chat_template: adapters of chat models apply their model's template "
            "to what our tasks ask by themselves"
        )
    _check_command(lm, given.get("cli_args"))
    for task in tasks:
        _check_generation(lm, str(task.task_name), task.config.generation_kwargs or {})
    if given.get("system_instruction"):
        _check_system(lm, tasks, given["system_instruction"])


def _check_limit(limit: float | None, tasks: Sequence[Any]) -> None:
    """Refuse a limit that the harness reads otherwise than it says."""
    if limit is None or limit == -1:
        return
    if 0 < limit < 1:
        counts = {str(t.task_name): math.ceil(len(t.eval_docs) * limit) for t in tasks}
        if len(set(counts.values())) > 1:
            named = ", ".join(f"{counts[task]} of {task}" for task in sorted(counts))
            raise TaskError(
                f"--limit {limit:g}: lmms_eval takes as many documents of every task as this share "
                f"of one of them is ({named}): give a number of documents, or run the tasks one by "
                "one"
            )
    elif not float(limit).is_integer() or limit < 1:
        raise TaskError(
            f"--limit {limit:g}: give a number of documents, a share of them between 0 and 1, or "
            "-1 for all"
        )


def _check_command(lm: Any, arguments: Any) -> None:
    """Refuse options of the command line that nothing reads for our tasks and this adapter."""
    if getattr(arguments, "baseline", None):
        raise TaskError(
            "leave out --baseline, which finds no score of a document in our samples: "
            "`vlm-confidence compare` tests differences between two runs"
        )
    modules = [sys.modules[cls.__module__] for cls in type(lm).__mro__]
    if getattr(arguments, "max_tokens", None) is not None and not any(
        hasattr(module, "is_budget_exceeded") for module in modules
    ):
        raise TaskError(
            f"leave out --max_tokens: {type(lm).__name__} counts no tokens, so that it would not "
            "stop; --limit asks fewer documents, --gen_kwargs max_new_tokens=N shortens answers"
        )


def _check_generation(lm: Any, task: str, given: Mapping[str, Any]) -> None:
    """Refuse names of generation arguments that no adapter, or not this one, reads."""
    read = getattr(lm, "generation_arguments", None) or known_arguments()
    for name in given:
        if name not in read:
            raise TaskError(
                f"task {task}: generation_kwargs has {name}, which {type(lm).__name__} does not "
                f"read{nearest(name, read)}: leave it out (in the YAML or in --gen_kwargs)"
            )


def _check_system(lm: Any, tasks: Sequence[Any], text: str) -> None:
    """Refuse a system instruction that would not get into each prompt as a message of its own."""
    begin = "--system_instruction cannot be applied: "
    if lm.is_simple:
        raise TaskError(
            f"{begin}{type(lm).__name__} takes texts, not chat messages; use an adapter of chat "
            "models, or pre_prompt in the task's YAML"
        )
    for task in tasks:
        plan = getattr(task, "plan", None)
        if plan is None or any("objective" in perturbations.needs_of(v) for v in plan.variants):
            raise TaskError(
                f"{begin}task {task.task_name} writes prompts of its own, without the adapter"
            )
    if find_model(lm) is None:
        # A server or an engine gets the messages as they are.
        return
    processor = find_processor(lm)
    if not getattr(processor, "chat_template", None):
        raise TaskError(f"{begin}{type(lm).__name__} has no chat template that can be found")
    try:
        shown = processor.apply_chat_template(
            [message("system", text), message("user", "x")], tokenize=False
        )
    except TemplateError as error:
        raise TaskError(f"{begin}the model's chat template refuses it ({error})") from error
    if text.strip() not in shown:
        raise TaskError(f"{begin}the model's chat template leaves it out")


def message(role: str, text: str) -> dict[str, Any]:
    """Return a chat message of the harness that is text alone."""
    return {"role": role, "content": [{"type": "text", "text": text}]}
