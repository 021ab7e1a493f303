"""Tasks by name: a prefix, what is shown, what is measured, as in `pope_blur_verbal3`.

A prefix is a template, `_<prefix>_yaml` in a folder of `task_yamls/`; a suffix is a file in
`task_yamls/suffixes/`. The task is that of the template with the keys of its suffixes:

    include: _pope_yaml
    task: pope_blur_verbal3
    perturbations: [{name: gaussian_blur, severity: [1, 2, 3, 4, 5]}]
    verbal: third

Any such pair is a task. Listed are a prefix with one suffix, and what a suffix's file lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from lmms_eval.utils import load_yaml_config

from vlm_confidence_tasks import benchmarks
from vlm_confidence_tasks.errors import TaskError

FOLDER = Path(str(resources.files("vlm_confidence_tasks.task_yamls")))
# Has tasks of another kind, of its own names.
TRAP = "caption_trap"
_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)(e-?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Suffix:
    """A suffix's file: keys of a task, and these of its own.

    Attributes:
        name: As in the names of tasks, without a number.
        keys: The task's.
        needs: What the questions of a prefix must have: one of `benchmarks.TRAITS`, or "nothing".
        numbers: A parameter of the perturbations that the name goes on with (`eps0.3`), and its
            values in the names that are listed; empty for most.
        shown: Of a suffix that says what is measured: what is shown where the name does not say
            it, with all `numbers`.
        measured: Of a suffix that says what is shown: what is measured where the name does not
            say it; None: nothing besides the answer.
        listed_with: Suffixes that say what is measured with which it is listed too.
        group: A group of the tasks of all prefixes with this suffix.
    """

    name: str
    keys: Mapping[str, Any]
    needs: str = "answers"
    numbers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    shown: str | None = None
    measured: str | None = None
    listed_with: Sequence[str] = ()
    group: str | None = None

    def names(self) -> list[str]:
        """Return the name with each of its numbers."""
        (numbers,) = self.numbers.values() or [("",)]
        return [f"{self.name}{number}" for number in numbers]


@cache
def shipped() -> TaskNames:
    """Return the names of the tasks that this package brings."""
    return TaskNames(FOLDER)


class TaskNames:
    """The names that a folder of templates and suffixes makes.

    Attributes:
        templates: Each prefix's file.
        groups: The members of each group, by name.
    """

    def __init__(self, folder: Path) -> None:
        """Read the folder."""
        files = sorted(folder.glob("*/_*_yaml"))
        self.templates = {file.name[1 : -len("_yaml")]: file for file in files}
        self._suffixes = {f.stem: _suffix(f) for f in sorted(folder.glob("suffixes/*.yaml"))}
        self._pairs = dict(self._every_pair())
        self._fitting = {prefix: self._suffixes_for(prefix) for prefix in self.templates}
        self._traps = dict(_trap_tasks(self._suffixes["eps"]))
        self.groups = self._every_group()

    def index(self) -> dict[str, dict[str, Any]]:
        """Return what is listed, as an index of the harness."""
        tasks = (f"{prefix}_{rest}" for prefix in self.templates for rest in self._listed(prefix))
        return {
            **{name: {"type": "python_task", "yaml_path": -1} for name in tasks},
            **{name: {"type": "group", "task": -1, "yaml_path": -1} for name in self.groups},
        }

    def config(self, name: str) -> dict[str, Any] | None:
        """Return the configuration of a task or group; None for any other name.

        Raises:
            TaskError: The name is that of a task but for a number or a pair that cannot be.
        """
        if name in self.groups:
            return {"group": name, "task": list(self.groups[name])}
        known = (prefix for prefix in self.templates if name.startswith(f"{prefix}_"))
        prefix = max(known, key=len, default=None)
        # Patterns and files are the harness's own.
        if prefix is None or re.search(r"[*?[]|\.yaml$", name):
            return None
        rest = name.removeprefix(f"{prefix}_")
        keys = self._traps.get(rest) if prefix == TRAP else self._keys(name, prefix, rest)
        if keys is None:
            return None
        return {**load_yaml_config(str(self.templates[prefix])), "task": name, **keys}

    def _every_pair(self) -> Iterator[tuple[str, tuple[Suffix, Suffix | None]]]:
        """Yield what follows a prefix, without a number: what is shown and what is measured."""
        known = self._suffixes
        measuring = [suffix for suffix in known.values() if suffix.shown]
        for suffix in known.values():
            if suffix.shown:
                yield suffix.name, (known[suffix.shown], suffix)
            else:
                yield suffix.name, (suffix, known[suffix.measured] if suffix.measured else None)
                yield from ((f"{suffix.name}_{one.name}", (suffix, one)) for one in measuring)

    def _suffixes_for(self, prefix: str) -> Mapping[str, Suffix]:
        """Return the suffixes for which a prefix has the questions."""
        template = load_yaml_config(str(self.templates[prefix]), mode="simple")
        traits = {"nothing", *benchmarks.get(template["benchmark"]).traits}
        return {s.name: s for s in self._suffixes.values() if s.needs in traits and prefix != TRAP}

    def _listed(self, prefix: str) -> Iterator[str]:
        """Yield what follows a prefix in the names of tasks that are listed."""
        if prefix == TRAP:
            yield from self._traps
        fitting = self._fitting[prefix]
        for suffix in fitting.values():
            for name in suffix.names():
                yield name
                yield from (f"{name}_{one}" for one in suffix.listed_with if one in fitting)

    def _every_group(self) -> Mapping[str, Sequence[str]]:
        groups: dict[str, list[str]] = {}
        for prefix, fitting in self._fitting.items():
            for suffix in fitting.values():
                name = f"{prefix}_{suffix.name}"
                if suffix.numbers:
                    groups[name] = [f"{prefix}_{numbered}" for numbered in suffix.names()]
                if suffix.group:
                    groups.setdefault(suffix.group, []).append(name)
        return groups

    def _keys(self, name: str, prefix: str, rest: str) -> dict[str, Any] | None:
        """Return what a task's suffixes add to its template."""
        pair, given = self._split_number(name, prefix, rest)
        if pair not in self._pairs:
            cuts = (found.start() for found in re.finditer("_", rest))
            if any(rest[:cut] in self._pairs and rest[cut + 1 :] in self._pairs for cut in cuts):
                measuring = ", ".join(s.name for s in self._suffixes.values() if s.shown)
                raise TaskError(
                    f"task {name}: expected a prefix, one suffix of what is shown and one of what "
                    f"is measured ({measuring}), as in pope_blur_verbal3"
                )
            return None
        shown, measured = self._pairs[pair]
        for suffix in filter(None, (shown, measured)):
            if suffix.name not in self._fitting[prefix]:
                raise TaskError(
                    f"task {name}: {suffix.name} is for questions that "
                    f"{benchmarks.TRAITS[suffix.needs]}, which those of {prefix} do not"
                )
        entries = [{**entry, **shown.numbers, **given} for entry in shown.keys["perturbations"]]
        more = measured.keys if measured else {}
        keys = {**more, **shown.keys, "perturbations": entries}
        metrics = [*shown.keys.get("metrics", ()), *more.get("metrics", ())]
        return keys | {"metrics": metrics} if metrics else keys

    def _split_number(self, name: str, prefix: str, rest: str) -> tuple[str, dict[str, float]]:
        """Take the number out of a pair of suffixes: as the value of a parameter."""
        measuring = "|".join(suffix.name for suffix in self._suffixes.values() if suffix.shown)
        for suffix in self._suffixes.values():
            for parameter in suffix.numbers:
                found = re.fullmatch(rf"{suffix.name}(.+?)((?:_(?:{measuring}))?)", rest)
                if found is None:
                    continue
                if not _NUMBER.fullmatch(found[1]) or float(found[1]) > 1:
                    raise TaskError(
                        f"task {name}: {parameter} is {found[1]!r}, expected a number in [0, 1], "
                        f"as in {prefix}_{suffix.name}0.17"
                    )
                return suffix.name + found[2], {parameter: float(found[1])}
        return rest, {}


def _suffix(file: Path) -> Suffix:
    keys = load_yaml_config(str(file))
    own = {one.name for one in fields(Suffix)} & keys.keys()
    options = {key: keys.pop(key) for key in own}
    return Suffix(file.stem, keys, **options)


def _trap_tasks(eps: Suffix) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the tasks of "The Confidence Trap" add to their template, by suffix."""
    yield "clamponly", {"epsilon": 0.0, "condition": "clamponly"}
    for epsilon in eps.numbers["epsilon"]:
        for end in ("", "_noclamp", "_generated"):
            yield f"eps{epsilon}{end}", {"epsilon": epsilon, "condition": end[1:] or "source"}
