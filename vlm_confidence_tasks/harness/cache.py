"""The harness's response cache, led past our requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lmms_eval.api.instance import Instance


class PassBy:
    """A response cache that answers for other tasks only.

    The harness's cache keeps text alone, under a key without pixels: from it our answers
    would come without a reading, and those to a changed perturbation would be stale.
    """

    def __init__(self, cache: Any, owns: Callable[[Instance], bool]) -> None:
        """Stand in front of `cache` for the requests that `owns` does not claim."""
        self._cache = cache
        self._owns = owns

    def execute(self, lm: Any, kind: str, requests: Sequence[Instance]) -> list[Any]:
        """Answer all requests, in order."""
        ours = [request for request in requests if self._owns(request)]
        others = [request for request in requests if not self._owns(request)]
        # Even without requests of ours: what several processes gather, each must take part in.
        answers = {
            True: iter(getattr(lm, kind)(ours) if ours or kind == "generate_until" else ()),
            False: iter(self._cache.execute(lm, kind, others) if others else ()),
        }
        return [next(answers[self._owns(request)]) for request in requests]
