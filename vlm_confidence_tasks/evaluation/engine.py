"""The interface between the evaluation and an inference engine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from vlm_confidence_tasks.evaluation.batch_size import BatchSize
from vlm_confidence_tasks.evaluation.request import Generation, Request
from vlm_confidence_tasks.probe import LogitSource


class Engine(Protocol):
    """Answers requests: the harness's model adapter, as the evaluation sees it.

    Attributes:
        name: Name of the adapter's class, for messages.
        source: Gives the readings of the answers.
        batch_size: How many requests the adapter runs at once.
    """

    name: str
    source: LogitSource
    batch_size: BatchSize

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answer requests of one task, in their order.

        While it runs, the adapter looks up each request's document by its index, which calls
        `Runner.look_up`.
        """

    def answer_text(self, request: Request, text: str) -> str:
        """Return an answer's text without a reasoning model's thinking."""

    def quiet(self) -> AbstractContextManager[None]:
        """Silence the adapter's own progress bars in the block."""
