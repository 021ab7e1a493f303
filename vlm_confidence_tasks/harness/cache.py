"""The harness's response cache: led past our requests, and what it was opened with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import Instance


@dataclass(frozen=True)
class CacheFolder:
    """What the harness was told with `--use_cache`.

    Attributes:
        folder: Where answers are to be kept.
        model_args: The model's arguments; None if it was loaded before.
    """

    folder: Path
    model_args: str | Mapping[str, Any] | None

    @classmethod
    def of(cls, root: str, model: Any, model_args: Any) -> CacheFolder:
        """Read the harness's own arguments; of a file `*.db` it takes the folder."""
        path = Path(root).absolute()
        folder = path.parent if path.suffix == ".db" else path
        return cls(folder, (model_args or "") if isinstance(model, str) else None)


class NoCache:
    """In the place of a response cache that no task of a run would use.

    It makes no files, so that a run of ours alone goes on where these cannot be made.
    """

    def execute(self, lm: Any, kind: str, requests: Sequence[Instance]) -> list[Any]:
        """Let the model answer."""
        answers: list[Any] = getattr(lm, kind)(requests)
        return answers

    def finalize(self, **harness: Any) -> None:
        """Do nothing."""


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
