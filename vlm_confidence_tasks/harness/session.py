"""One evaluation of the harness, opened around its `evaluate()`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from lmms_eval.api.instance import Instance
from loguru import logger

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.evaluation.response_cache import open_cache
from vlm_confidence_tasks.evaluation.run import Run
from vlm_confidence_tasks.evaluation.signals import ranks
from vlm_confidence_tasks.harness import run_summary
from vlm_confidence_tasks.harness.adapter import DocumentView, HarnessAdapter
from vlm_confidence_tasks.harness.partial_results import PartialResults
from vlm_confidence_tasks.harness.reasoning import read_tags
from vlm_confidence_tasks.harness.task import PerturbedTask
from vlm_confidence_tasks.harness.use_cache import CacheFolder
from vlm_confidence_tasks.models.shared_prefix import reuse


class Session:
    """Intercepts the harness's calls of the model while perturbed tasks are evaluated.

    A context manager: on entry it replaces the model's documents by views and wraps
    `lm.generate_until`; on exit it restores both.
    """

    def __init__(
        self,
        lm: Any,
        tasks: Sequence[PerturbedTask],
        cli_args: Any = None,
        cache: CacheFolder | None = None,
        system: str | None = None,
    ) -> None:
        """Prepare for one evaluation.

        Args:
            lm: The harness's adapter.
            tasks: The perturbed tasks of the run; several have the same name if the user names
                a group and one of its tasks.
            cli_args: The harness's command-line arguments.
            cache: Where responses are cached; None: nowhere.
            system: The harness's `--system_instruction`.
        """
        self._lm = lm
        self._all_tasks = tasks
        self._tasks = {str(task.task_name): task for task in tasks}
        tags = getattr(cli_args, "reasoning_tags", None)
        self._default_tags = read_tags("--reasoning_tags", tags)
        self._from_command = cli_args is not None
        self._cache = cache
        self._system = system or ""
        self._rank, self._ranks = ranks()
        self._partial = PartialResults.of(cli_args, self._rank, self._ranks)
        self._restore = ExitStack()

    def __enter__(self) -> Session:
        """Install the session."""
        engine = HarnessAdapter(self._lm, self._tasks, self._default_tags)
        where = self._cache or CacheFolder()
        cache = open_cache(where.folder, self._lm, engine.source, where.model_args, self._rank)
        if self._partial is not None:
            self._partial.begin(self._tasks)
        specs = [task.spec for task in self._tasks.values()]
        self._run = Run(engine, specs, cache, self._write_partial, self._rank, self._ranks)
        self._restore.callback(self._run.close)
        inside = any(spec.settings.representations for spec in specs)
        self._restore.enter_context(reuse(engine.source, representations=inside))
        generate = partial(engine.generate_until, self._run.answer)
        self._restore.enter_context(probe.replaced(self._lm, "generate_until", generate))
        if hasattr(self._lm, "announce_rows"):
            announced = probe.replaced(self._lm, "announce_rows", self._run.runner.announce)
            self._restore.enter_context(announced)
        for task in self._all_tasks:
            task.evaluation, task.chat = self._run, not self._lm.is_simple
            task.system = self._system
            self._restore.callback(setattr, task, "evaluation", None)
        for name, task in self._tasks.items():
            self._restore.callback(self._lm.task_dict.__setitem__, name, task.dataset)
            split = next(iter(task.dataset))
            self._lm.task_dict[name] = {split: DocumentView(task, self._run.runner.look_up)}
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the model, its documents and the tasks."""
        self._restore.close()

    def owns(self, instance: Instance) -> bool:
        """Whether an instance belongs to a perturbed task."""
        return instance.task_name in self._tasks

    def complete(self, results: dict[str, Any] | None) -> None:
        """Add answers and failed documents of all processes to the harness's results.

        Every process must call this, since the failures are gathered. The answers to a document
        go into its row of the samples file. The number of failures is added to the metrics of
        each task that allows them, also if it is 0.

        Args:
            results: The return value of `evaluate()`, None in all processes but the first.
        """
        failed = self._run.failures.gather()
        # A row is made of each sample below: what the tasks hold goes one by one.
        self._run.forget()
        if results is None:
            return
        for name, rows in results.get("samples", {}).items():
            if name in self._tasks:
                errors = {entry["document"]: entry["error"] for entry in failed.get(name, ())}
                for row in rows:
                    row.update(self._tasks[name].row(row["doc_id"], errors.get(row["doc_id"])))
        if not failed:
            return
        for name, entries in failed.items():
            results["results"].setdefault(name, {})["failed,none"] = len(entries)
        results["failed"] = [entry for entries in failed.values() for entry in entries]

    def write_summary(self, results: dict[str, Any] | None) -> None:
        """Write a few lines about the run, if a command began it, in the first process.

        Args:
            results: The return value of `evaluate()`, None in all processes but the first.
        """
        if results is None or not self._from_command:
            return
        lines = run_summary.summary({str(t.task_name): t.answers for t in self._all_tasks})
        if lines:
            run_summary.write.get()(lines)

    def _write_partial(self, name: str, documents: list[int]) -> None:
        if self._partial is None:
            return
        try:
            written = self._partial.write(self._tasks[name], documents)
        except OSError as error:
            logger.warning(f"task {name} is complete, but cannot be written yet: {error}")
            return
        if written is not None:
            logger.info(f"task {name} is complete: {written}")
