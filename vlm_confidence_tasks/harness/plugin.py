"""Installs this package in lmms-eval: the entry point and the wrapped functions.

lmms-eval loads the entry-point group `lmms_eval.models` in every process, whichever
command started it; `manifests` is ours. It returns the model ids and wraps these functions
of the harness:

- `lmms_eval.tasks.TaskManager.initialize_tasks`: also lists our tasks and groups, which have no
  files but names (`task_names`), since the harness has no entry point for tasks;
- `TaskManager._get_config`: also has their configurations;
- `TaskManager.match_tasks` and `_load_individual_task_or_group`: also know names that are not
  listed, such as `pope_eps0.17` and `pope_jpeg_verbal3`; the second says why a task of another
  package has no data;
- `lmms_eval.evaluator.evaluate`: opens a `Session` around it if any task of a run is a
  `PerturbedTask`, checks the options (`options`), and prints a few lines about the run at the end
  (`run_summary`). All other changes to a run are made by the session, which reverts them at the
  end. This function is wrapped when a TaskManager is made or loads a task, since the evaluator's
  import is not complete when entry points are loaded;
- `ResponseCache.create`, wrapped at the same time: passes the folder of `--use_cache` to the
  session, and makes no cache if no task of the run would use it.

Nothing else of the harness is changed anywhere in this package.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib import metadata
from typing import Any

from tenacity import RetryError

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.errors import TaskError, one_line
from vlm_confidence_tasks.harness import task_names
from vlm_confidence_tasks.harness.metric_registration import register_metrics
from vlm_confidence_tasks.metrics import metrics_for
from vlm_confidence_tasks.models import manifests as model_manifests
from vlm_confidence_tasks.sandbox import LOCAL_DATA

TESTED = "0.7.3"
_OURS = "_vlm_confidence_tasks"
# Arguments of the harness's `evaluate` that `options` checks.
_OPTIONS = ("limit", "offset", "system_instruction", "apply_chat_template")


def manifests() -> list[Any]:
    """Install the tasks and metrics and return the models: the entry point."""
    install_tasks()
    register_metrics(metrics_for(perturbations.families()).values())
    return model_manifests()


def _signature(function: Any, *expected: str) -> inspect.Signature:
    """Return a function's signature after checking that it has the expected parameters."""
    signature = inspect.signature(function)
    if missing := sorted(set(expected) - set(signature.parameters)):
        raise RuntimeError(
            f"lmms-eval {metadata.version('lmms_eval')} does not fit vlm_confidence_tasks "
            f"({function.__qualname__}() takes no {', '.join(missing)}): tested with lmms-eval "
            f"{TESTED}; install that version"
        )
    return signature


def install_tasks() -> None:
    """Make our tasks known to every TaskManager.

    Raises:
        RuntimeError: The version of the harness is incompatible.
    """
    from lmms_eval.tasks import TaskManager

    original = TaskManager.initialize_tasks
    if hasattr(original, _OURS):
        return
    get_config, match = TaskManager._get_config, TaskManager.match_tasks
    load = TaskManager._load_individual_task_or_group
    _signature(get_config, "name")
    _signature(match, "task_list")
    _signature(load, "name_or_config", "update_config")

    @functools.wraps(original)
    def initialize_tasks(self: Any, *args: Any, **kwargs: Any) -> Any:
        install_seam()
        # Files come first: of the harness, and of the user.
        return {**task_names.shipped().index(), **original(self, *args, **kwargs)}

    @functools.wraps(get_config)
    def config_of(self: Any, name: str) -> Any:
        return get_config(self, name) or task_names.shipped().config(name)

    def unlisted(self: Any, name: Any) -> dict[str, Any] | None:
        known = not isinstance(name, str) or name in self.task_index
        return None if known else task_names.shipped().config(name)

    @functools.wraps(match)
    def match_tasks(self: Any, task_list: str | Sequence[str]) -> list[str]:
        names = [task_list] if isinstance(task_list, str) else task_list
        return sorted({*match(self, names), *(name for name in names if unlisted(self, name))})

    @functools.wraps(load)
    def load_one(self: Any, name_or_config: Any = None, *args: Any, **kwargs: Any) -> Any:
        install_seam()
        given = name_or_config if isinstance(name_or_config, dict) else {"task": name_or_config}
        config = unlisted(self, given.get("task"))
        if config is None:
            try:
                return load(self, name_or_config, *args, **kwargs)
            except RetryError as error:
                raise TaskError(no_data(str(given.get("task")), error)) from error
        config |= given | (kwargs.get("update_config") or {})
        return {config["task"]: config["class"](config=config)}

    setattr(initialize_tasks, _OURS, True)
    TaskManager.initialize_tasks = initialize_tasks
    TaskManager._get_config = config_of
    TaskManager.match_tasks = match_tasks
    TaskManager._load_individual_task_or_group = load_one


def no_data(task: str, error: RetryError) -> str:
    """Say why another package's task has no data, where the harness says how often it tried."""
    reason, local = error.last_attempt.exception(), os.environ.get(LOCAL_DATA)
    why = one_line(reason) if reason is not None else str(error)
    ours = f"; {LOCAL_DATA}={local} holds data of perturbed tasks only" if local else ""
    return f"task {task} is not of this package, and its data cannot be loaded ({why}){ours}"


def install_seam() -> None:
    """Wrap the harness's `evaluate` once its module is completely imported.

    Raises:
        RuntimeError: The version of the harness is incompatible.
    """
    from lmms_eval import evaluator

    original = getattr(evaluator, "evaluate", None)
    # Another plugin may make a TaskManager during the evaluator's import.
    if original is None or hasattr(original, _OURS):
        return
    signature = _signature(original, "lm", "task_dict", "cli_args", "response_cache", *_OPTIONS)

    @functools.wraps(original)
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs)
        tasks = list(_perturbed(call.arguments["task_dict"]))
        traps = list(_traps(call.arguments["task_dict"]))
        if not tasks and not traps:
            return original(*args, **kwargs)
        from vlm_confidence_tasks.harness.options import check_options
        from vlm_confidence_tasks.harness.session import Session
        from vlm_confidence_tasks.harness.trap_task import answering, is_trap
        from vlm_confidence_tasks.harness.use_cache import OtherTasksCache

        given = call.arguments
        lm, cache = given["lm"], given.get("response_cache")
        check_options(lm, [*tasks, *traps], list(leaves(given["task_dict"])), given)
        with ExitStack() as stack:
            if traps:
                stack.enter_context(answering(lm, traps))
            session = None
            if tasks:
                folder, system = getattr(cache, _OURS, None), given.get("system_instruction")
                session = Session(lm, tasks, given.get("cli_args"), folder, system)
                stack.enter_context(session)
            if cache is not None:
                owns = session.owns if session is not None else is_trap
                given["response_cache"] = OtherTasksCache(
                    cache, lambda instance: is_trap(instance) or owns(instance)
                )
            results = original(*call.args, **call.kwargs)
            if session is not None:
                session.complete(results)
                session.write_summary(results)
            return results

    setattr(evaluate, _OURS, True)
    evaluator.evaluate = evaluate
    _wrap_cache(evaluator.ResponseCache)


def _wrap_cache(cache_class: Any) -> None:
    """Wrap how the harness opens its response cache."""
    original = cache_class.create
    signature = _signature(original, "cache_root", "model", "model_args", "task_dict")

    @functools.wraps(original)
    def create(*args: Any, **kwargs: Any) -> Any:
        from vlm_confidence_tasks.harness.use_cache import CacheFolder, NoCache

        given = signature.bind(*args, **kwargs).arguments
        tasks = given.get("task_dict") or {}
        all_perturbed = len(list(_perturbed(tasks))) == len(list(leaves(tasks)))
        cache = NoCache() if tasks and all_perturbed else original(*args, **kwargs)
        folder = CacheFolder.of(given["cache_root"], given.get("model"), given.get("model_args"))
        setattr(cache, _OURS, folder)
        return cache

    cache_class.create = staticmethod(create)


def _perturbed(tasks: Mapping[Any, Any]) -> Iterator[Any]:
    """Yield the perturbed tasks of the harness's tree of groups and tasks."""
    from vlm_confidence_tasks.harness.task import PerturbedTask

    return (task for task in leaves(tasks) if isinstance(task, PerturbedTask))


def _traps(tasks: Mapping[Any, Any]) -> Iterator[Any]:
    """Yield the tasks of a run that follow the code of "The Confidence Trap"."""
    from vlm_confidence_tasks.harness.trap_task import TrapTask

    return (task for task in leaves(tasks) if isinstance(task, TrapTask))


def leaves(tasks: Mapping[Any, Any]) -> Iterator[Any]:
    """Yield all tasks of the harness's tree of groups and tasks."""
    for task in tasks.values():
        if isinstance(task, Mapping):
            yield from leaves(task)
        else:
            yield task
