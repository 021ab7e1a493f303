"""The interface between the evaluation and an inference engine, and its batch size."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from vlm_confidence_tasks.evaluation.request import Generation, Request
from vlm_confidence_tasks.probe import LogitSource

# Attribute names in adapters; the first that exists is used.
_NAMES = ("batch_size_per_gpu", "_batch_size", "batch_size")


class BatchSize:
    """An adapter's batch size, which the adapter reads again in each call."""

    def __init__(self, adapter: Any) -> None:
        """Read the value."""
        self._adapter = adapter
        self._name = next((name for name in _NAMES if name in vars(adapter)), None)
        self._before = self.now

    @property
    def now(self) -> int | None:
        """The batch size, None if it is not a number that can be changed."""
        value = None if self._name is None else getattr(self._adapter, self._name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def halve(self) -> bool:
        """Halve it; False if it is 1 already or cannot be changed."""
        now = self.now
        if now is None or now <= 1:
            return False
        setattr(self._adapter, str(self._name), now // 2)
        return True

    def restore(self) -> None:
        """Restore the first value."""
        if self._before is not None:
            setattr(self._adapter, str(self._name), self._before)


class Engine(Protocol):
    """Answers requests: the harness's model adapter, as the evaluation sees it.

    Attributes:
        name: Name of the adapter's class, for messages.
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
