"""What a model is called: short, and no two by the same name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_confidence_tasks.report.inputs.problems import Problems

# Arguments that say where a model runs or who may ask it, not which model it is.
PLACE = frozenset({"device", "device_map", "batch_size", "api_key"})
# Where the harness itself looks for a name, in this order.
NAMED_BY = ("pretrained", "model", "model_version", "model_name", "model_id", "path", "engine")


@dataclass(frozen=True, order=True)
class Model:
    """A model as the harness's command line names it.

    Attributes:
        adapter: The harness's model id (`--model`).
        args: Its arguments (`--model_args`) as (name, value) pairs, without those of
            `PLACE`.
    """

    adapter: str
    args: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, adapter: str, args: str | Mapping[str, Any] | None) -> Model:
        """Read the harness's two arguments.

        >>> Model.of("llava", "pretrained=a/b,device=cuda,load_in_4bit=True").short_name
        'a/b (load_in_4bit=True)'
        >>> Model.of("openai", "model_version=m,api_key=secret").full_name
        'openai: model_version=m'
        """
        if args is None or isinstance(args, str):
            pairs = [part.partition("=") for part in (args or "").split(",") if part.strip()]
            args = {name.strip(): value.strip() for name, _, value in pairs}
        named = {name: str(value) for name, value in args.items() if name not in PLACE}
        return cls(adapter, tuple(sorted(named.items())))

    @property
    def revision(self) -> str | None:
        """The revision given, None for the newest."""
        return dict(self.args).get("revision")

    @property
    def checkpoint(self) -> tuple[str, str | None]:
        """The weights as they were named, whatever the engine and its options.

        >>> Model.of("vllm", "model=a/b").checkpoint == Model.of(
        ...     "llava", "pretrained=a/b,dtype=float32"
        ... ).checkpoint
        True
        """
        args = dict(self.args)
        return next((args[key] for key in NAMED_BY if args.get(key)), self.adapter), self.revision

    @property
    def short_name(self) -> str:
        """The checkpoint's name, a folder by its last part, with the other arguments."""
        args = dict(self.args)
        key = next((key for key in NAMED_BY if args.get(key)), None)
        name = _checkpoint(args.pop(key)) if key else self.adapter
        others = ", ".join(f"{name}={value}" for name, value in args.items())
        return f"{name} ({others})" if others else name

    @property
    def full_name(self) -> str:
        """The adapter and all arguments: never shared by two models."""
        args = ",".join(f"{name}={value}" for name, value in self.args)
        return f"{self.adapter}: {args}" if args else self.adapter


def _checkpoint(name: str) -> str:
    is_path = name.startswith(("/", ".", "~")) or "\\" in name
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] if is_path else name


def name_models(named: Sequence[tuple[Model, Path]], problems: Problems) -> dict[Model, str]:
    """Name every model, in short where it can be, given files that name them.

    Where two share the short name, that is a problem, and both get their full names.
    """
    first = dict(reversed(named))
    sharing = defaultdict(list)
    for model in sorted(first):
        sharing[model.short_name].append(model)
    names = {}
    for short, models in sharing.items():
        for model in models:
            names[model] = short if len(models) == 1 else model.full_name
        if len(models) > 1:
            who = " and ".join(f"{first[model]} ({model.full_name})" for model in models[1:])
            problems.add(
                first[models[0]],
                f"two models with one name, {short!r}: {models[0].full_name} here, and {who}; "
                "they are shown by their full names",
            )
    return names


def slugs(names: Sequence[str]) -> dict[str, str]:
    """Return a file name for each of the names, no two the same on any file system.

    >>> slugs(["a/b", "a_b", "<script>"])
    {'a/b': 'a_b', 'a_b': 'a_b-2', '<script>': 'script'}
    """
    given: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._")[:80] or "model"
        slug, n = stem, 1
        while slug.lower() in {taken.lower() for taken in given.values()}:
            n += 1
            slug = f"{stem}-{n}"
        given[name] = slug
    return given
