"""Errors of an evaluation, each one line: what, where, what to do."""

from __future__ import annotations


class TaskError(ValueError):
    """A task's YAML or data cannot be used."""


class MeasurementError(RuntimeError):
    """An answer could not be measured; the run ends rather than scoring it."""

    def __init__(self, task: str, document: int, question_id: str, variant: object, what: str):
        """Name the place and say what happened and what to do about it."""
        self._variant, self._what = variant, what
        super().__init__(
            f"task {task}, document {document} (question_id {question_id}), "
            f"variant {variant}: {what}"
        )

    def of(self, task: str, document: int, question_id: str) -> MeasurementError:
        """Return the same of another document, which needs the same answer."""
        return MeasurementError(task, document, question_id, self._variant, self._what)
