"""Documents that could not be measured: how many a run may have, and which they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.harness.errors import MeasurementError, TaskError

if TYPE_CHECKING:
    # Plans hold tasks, which ask this module how many may fail.
    from vlm_confidence_tasks.harness.plan import Ask

MAX_FAILURES = "VLM_CONFIDENCE_MAX_FAILURES"

Place = tuple[str, int]


def max_failures(of_yaml: int | None) -> int:
    """Return how many documents of a task may fail in one process: the YAML's, or the user's.

    Args:
        of_yaml: The task's own `max_failures`; None: the environment variable counts.

    Raises:
        TaskError: The variable is not a whole number of 0 or more.
    """
    if of_yaml is not None:
        return of_yaml
    given = os.environ.get(MAX_FAILURES) or "0"
    if not (given.isascii() and given.isdigit()):
        raise TaskError(f"{MAX_FAILURES} is {given!r}, expected a whole number of 0 or more")
    return int(given)


class Failures:
    """What failed, by task and document; never more than was allowed."""

    def __init__(self, allowed: Mapping[str, int]) -> None:
        """Start with nothing failed.

        Args:
            allowed: How many documents of each task may fail.
        """
        self._allowed = allowed
        self._errors: dict[Place, str] = {}

    @property
    def any_allowed(self) -> bool:
        """Whether any task may have failures, in any process of the run."""
        return any(self._allowed.values())

    def add(self, error: MeasurementError, asks: Iterable[Ask]) -> None:
        """Note that documents failed.

        Args:
            error: Why.
            asks: What needed what failed: each names its task and document.

        Raises:
            MeasurementError: That is more than a task may have.
        """
        for ask in asks:
            name = str(ask.task.task_name)
            own = error.of(name, ask.document, ask.question.question_id)
            self._errors.setdefault((name, ask.document), str(own))
        for name, allowed in self._allowed.items():
            count = sum(task == name for task, _ in self._errors)
            if count > allowed:
                raise error

    def get(self, task: str, document: int) -> str | None:
        """Return why a document failed, None if it did not."""
        return self._errors.get((task, document))

    def report(self, results: dict[str, Any] | None) -> None:
        """Write into the harness's results what failed, in all processes.

        Every process must call this, for they tell each other. A task that may have
        failures gets their number beside its metrics, 0 too.

        Args:
            results: What `evaluate()` gave, None in other processes than the first.
        """
        if not self.any_allowed:
            return
        mine = [
            {"task": task, "document": document, "error": error}
            for (task, document), error in sorted(self._errors.items())
        ]
        failed = [entry for part in probe.gather(mine) for entry in part]
        if results is None:
            return
        for name, allowed in self._allowed.items():
            if allowed:
                count = sum(entry["task"] == name for entry in failed)
                results["results"].setdefault(name, {})["failed,none"] = count
        results["failed"] = failed
