"""How this package gets into lmms-eval: the entry point, the task folder, the one seam.

lmms-eval loads the entry-point group `lmms_eval.models` in every process, whichever
command started it; `manifests` is ours. It gives the model ids, and changes three things
in the harness, each by wrapping one function:

- `lmms_eval.tasks.TaskManager.initialize_tasks` also looks into our task folder, since
  the harness has no entry point for tasks;
- `lmms_eval.evaluator.evaluate`, the seam: if any task of a run is a `PerturbedTask`, a
  `Session` is opened around it. All else that we do to a run, the session does, and
  takes back when the run is over. The seam is put in when the first perturbed task is
  built, for the evaluator is only half imported when entry points are loaded;
- `ResponseCache.create`, put in with the seam: it tells the session which folder
  `--use_cache` names, and makes no cache where no task of the run would use it.

Nothing else of the harness is changed anywhere in this package.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata, resources
from typing import Any

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.harness.registration import register_metrics
from vlm_confidence_tasks.metrics import metrics_for
from vlm_confidence_tasks.models import manifests as model_manifests

TESTED = "0.7.3"
_OURS = "_vlm_confidence_tasks"
_EXPECTED = {"lm", "task_dict", "cli_args", "response_cache"}
_EXPECTED_OF_CACHE = {"cache_root", "model", "model_args", "task_dict"}


def manifests() -> list[Any]:
    """Put the tasks and metrics in and return the models: the entry point."""
    install_tasks()
    register_metrics(metrics_for(perturbations.families()).values())
    return model_manifests()


def misfit(what: str) -> RuntimeError:
    """Return the error for an lmms-eval that is not the one this was written for."""
    return RuntimeError(
        f"lmms-eval {metadata.version('lmms_eval')} does not fit vlm_confidence_tasks ({what}): "
        f"tested with lmms-eval {TESTED}; install that version"
    )


def install_tasks() -> None:
    """Make every TaskManager index our task folder, after the user's own.

    Raises:
        RuntimeError: The harness has changed.
    """
    from lmms_eval.tasks import TaskManager

    original = TaskManager.initialize_tasks
    if hasattr(original, _OURS):
        return
    if "include_path" not in inspect.signature(original).parameters:
        raise misfit("TaskManager.initialize_tasks takes no include_path")

    @functools.wraps(original)
    def initialize_tasks(
        self: Any, include_path: str | Sequence[str] | None = None, **others: Any
    ) -> Any:
        given = [include_path] if isinstance(include_path, str) else list(include_path or [])
        # The folder comes last: where two define a task, the harness keeps the first.
        return original(self, include_path=[*given, task_folder()], **others)

    setattr(initialize_tasks, _OURS, True)
    TaskManager.initialize_tasks = initialize_tasks


def task_folder() -> str:
    """Return the folder that holds the task YAMLs."""
    return str(resources.files("vlm_confidence_tasks.task_yamls"))


def install_seam() -> None:
    """Wrap the harness's `evaluate`, once.

    Raises:
        RuntimeError: The harness has changed.
    """
    from lmms_eval import evaluator

    original = evaluator.evaluate
    if hasattr(original, _OURS):
        return
    signature = inspect.signature(original)
    if missing := _EXPECTED - set(signature.parameters):
        raise misfit(f"evaluate() takes no {', '.join(sorted(missing))}")

    @functools.wraps(original)
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs)
        tasks = list(_perturbed(call.arguments["task_dict"]))
        if not tasks:
            return original(*args, **kwargs)
        from vlm_confidence_tasks.harness.cache import PassBy
        from vlm_confidence_tasks.harness.session import Session

        lm, cache = call.arguments["lm"], call.arguments.get("response_cache")
        folder = getattr(cache, _OURS, None)
        session = Session(lm, tasks, call.arguments.get("cli_args"), folder)
        if cache is not None:
            call.arguments["response_cache"] = PassBy(cache, session.owns)
        with session:
            results = original(*call.args, **call.kwargs)
            session.failures.report(results)
            return results

    setattr(evaluate, _OURS, True)
    evaluator.evaluate = evaluate
    _wrap_cache(evaluator.ResponseCache)


def _wrap_cache(cache_class: Any) -> None:
    """Wrap how the harness opens its response cache."""
    original = cache_class.create
    signature = inspect.signature(original)
    if missing := _EXPECTED_OF_CACHE - set(signature.parameters):
        raise misfit(f"ResponseCache.create() takes no {', '.join(sorted(missing))}")

    @functools.wraps(original)
    def create(*args: Any, **kwargs: Any) -> Any:
        from vlm_confidence_tasks.harness.cache import CacheFolder, NoCache

        given = signature.bind(*args, **kwargs).arguments
        tasks = given.get("task_dict") or {}
        everything_is_ours = len(list(_perturbed(tasks))) == len(list(_leaves(tasks)))
        cache = NoCache() if tasks and everything_is_ours else original(*args, **kwargs)
        folder = CacheFolder.of(given["cache_root"], given.get("model"), given.get("model_args"))
        setattr(cache, _OURS, folder)
        return cache

    cache_class.create = staticmethod(create)


def _perturbed(tasks: Mapping[Any, Any]) -> Iterator[Any]:
    """Find our tasks in the harness's tree of groups and tasks."""
    from vlm_confidence_tasks.harness.task import PerturbedTask

    return (task for task in _leaves(tasks) if isinstance(task, PerturbedTask))


def _leaves(tasks: Mapping[Any, Any]) -> Iterator[Any]:
    """Find all tasks in the harness's tree of groups and tasks."""
    for task in tasks.values():
        if isinstance(task, Mapping):
            yield from _leaves(task)
        else:
            yield task
