"""`--use_cache`: what it names, and keeping the harness's own cache from our requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.utils import simple_parse_args_string


@dataclass(frozen=True)
class CacheFolder:
    """What the harness was told with `--use_cache`.

    Attributes:
        folder: Where responses are to be cached; None: nowhere.
        model_args: The model's arguments; None if it was loaded before.
    """

    folder: Path | None = None
    model_args: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, root: str, model: Any, model_args: str | Mapping[str, Any] | None) -> CacheFolder:
        """Read the harness's own arguments; of a file `*.db` it takes the folder."""
        path = Path(root).absolute()
        folder = path.parent if path.suffix == ".db" else path
        if not isinstance(model, str):
            return cls(folder, None)
        given = model_args or {}
        return cls(folder, simple_parse_args_string(given) if isinstance(given, str) else given)


class NoCache:
    """Replaces the harness's cache where all tasks of a run are perturbed ones.

    It makes no files, so that such a run goes on where these cannot be made.
    """

    def execute(self, lm: Any, kind: str, requests: Sequence[Instance]) -> list[Any]:
        """Let the model answer."""
        answers: list[Any] = getattr(lm, kind)(requests)
        return answers

    def finalize(self, **harness: Any) -> None:
        """Do nothing."""


class OtherTasksCache:
    """The harness's cache, for other tasks than perturbed ones.

    It keeps text alone, under a key without pixels: responses from it would have no readings,
    and those to a changed perturbation would be stale.
    """

    def __init__(self, cache: Any, owns: Callable[[Instance], bool]) -> None:
        """Use `cache` for the requests that `owns` does not claim."""
        self._cache = cache
        self._owns = owns

    def execute(self, lm: Any, kind: str, requests: Sequence[Instance]) -> list[Any]:
        """Answer all requests, in order."""
        ours = [request for request in requests if self._owns(request)]
        others = [request for request in requests if not self._owns(request)]
        # Also without requests of ours: every process must take part in what they gather.
        answers = {
            True: iter(getattr(lm, kind)(ours) if ours or kind == "generate_until" else ()),
            False: iter(self._cache.execute(lm, kind, others) if others else ()),
        }
        return [next(answers[self._owns(request)]) for request in requests]
