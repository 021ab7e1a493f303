"""`--use_cache`: reads its folder, and excludes our requests from the harness's own cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.utils import simple_parse_args_string


@dataclass(frozen=True)
class CacheFolder:
    """The folder of `--use_cache` and the model whose responses it holds.

    Attributes:
        folder: Where responses are cached; None: they are not.
        model_args: The model's arguments; None if it was loaded by the caller.
    """

    folder: Path | None = None
    model_args: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, root: str, model: Any, model_args: str | Mapping[str, Any] | None) -> CacheFolder:
        """Read the harness's own arguments; for a file `*.db`, its folder is used."""
        path = Path(root).absolute()
        folder = path.parent if path.suffix == ".db" else path
        if not isinstance(model, str):
            return cls(folder, None)
        args = model_args or {}
        return cls(folder, simple_parse_args_string(args) if isinstance(args, str) else args)


class NoCache:
    """Replaces the harness's cache if all tasks of a run are perturbed ones.

    It writes no files, so that such a run also works in a read-only folder.
    """

    def execute(self, lm: Any, kind: str, requests: Sequence[Instance]) -> list[Any]:
        """Let the model answer."""
        answers: list[Any] = getattr(lm, kind)(requests)
        return answers

    def finalize(self, **harness: Any) -> None:
        """Do nothing."""


class OtherTasksCache:
    """The harness's cache, for tasks other than perturbed ones.

    It stores text only, under a key without pixels: its responses would have no readings, and
    would be stale if a perturbation changed.
    """

    def __init__(self, cache: Any, owns: Callable[[Instance], bool]) -> None:
        """Use `cache` for the requests for which `owns` is false."""
        self._cache = cache
        self._owns = owns

    def execute(self, lm: Any, kind: str, requests: Sequence[Instance]) -> list[Any]:
        """Answer all requests, in order."""
        own = [request for request in requests if self._owns(request)]
        others = [request for request in requests if not self._owns(request)]
        # Also without own requests, since every process must take part in gathering.
        answers = {
            True: iter(getattr(lm, kind)(own) if own or kind == "generate_until" else ()),
            False: iter(self._cache.execute(lm, kind, others) if others else ()),
        }
        return [next(answers[self._owns(request)]) for request in requests]
