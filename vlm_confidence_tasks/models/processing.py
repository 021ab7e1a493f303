"""Prompts that are processed ahead of the model."""

from __future__ import annotations

import copy
from typing import Any

from vlm_confidence_tasks.models.turns import Turn


class Unprocessable(Exception):
    """A request whose prompt cannot be processed."""

    def __init__(self, turn: Turn, reason: Exception) -> None:
        """Keep the request, and what its processor raised."""
        super().__init__(str(reason))
        self.turn, self.reason = turn, reason


class ProcessedOnce:
    """An image processor that processes the first images that it is given, and returns these."""

    def __init__(self, processor: Any) -> None:
        """Wrap an image processor."""
        self._processor = processor
        self._result: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of the first call."""
        if self._result is None:
            self._result = self._processor(*args, **kwargs)
        # Processors take entries out of what they get.
        result = copy.copy(self._result)
        result.data = dict(self._result.data)
        return result

    def __getattr__(self, name: str) -> Any:
        """Return the processor's own attribute."""
        return getattr(self._processor, name)
