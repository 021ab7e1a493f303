"""Records documents that could not be measured, and limits their number."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.errors import MeasurementError, Place, RequestError, TaskError

MAX_FAILURES = "VLM_CONFIDENCE_MAX_FAILURES"


@contextmanager
def located(place: Place) -> Iterator[None]:
    """Turn a `RequestError` raised in the block into a `MeasurementError` with its place."""
    try:
        yield
    except RequestError as error:
        raise MeasurementError(place, str(error)) from (error.__cause__ or error)


def max_failures(from_yaml: int | None) -> int:
    """Return how many documents of a task may fail in one process.

    It is the task's own `max_failures` from its YAML, else what the environment variable says.

    Raises:
        TaskError: The variable is not a whole number of 0 or more.
    """
    if from_yaml is not None:
        return from_yaml
    value = os.environ.get(MAX_FAILURES) or "0"
    if not (value.isascii() and value.isdigit()):
        raise TaskError(f"{MAX_FAILURES} is {value!r}, expected a whole number of 0 or more")
    return int(value)


class Failures:
    """The failed documents of a run, at most as many as allowed."""

    def __init__(self, allowed: Mapping[str, int]) -> None:
        """Start without failures, given how many documents of each task may fail."""
        self._allowed = allowed
        self._errors: dict[tuple[str, int], str] = {}

    @property
    def any_allowed(self) -> bool:
        """Whether any task may have failures, in any process of the run."""
        return any(self._allowed.values())

    def add(self, error: MeasurementError, places: Iterable[Place]) -> None:
        """Record an error of all documents that need the answer; raise it if too many failed."""
        for place in places:
            own = MeasurementError(place._replace(variant=error.place.variant), error.what)
            self._errors.setdefault((place.task, place.document), str(own))
        for name, allowed in self._allowed.items():
            if sum(task == name for task, _ in self._errors) > allowed:
                raise error

    def get(self, task: str, document: int) -> str | None:
        """Return why a document failed, None if it did not."""
        return self._errors.get((task, document))

    def gather(self) -> dict[str, list[dict[str, Any]]]:
        """Return the failures of all processes by task; every process must call it.

        Each failure is a record of `task`, `document` and `error`. Tasks without allowed
        failures are left out; if there are no others, no communication takes place.
        """
        if not self.any_allowed:
            return {}
        local = [
            {"task": task, "document": document, "error": error}
            for (task, document), error in sorted(self._errors.items())
        ]
        gathered = [entry for part in probe.gather(local) for entry in part]
        return {
            name: [entry for entry in gathered if entry["task"] == name]
            for name, allowed in sorted(self._allowed.items())
            if allowed
        }
