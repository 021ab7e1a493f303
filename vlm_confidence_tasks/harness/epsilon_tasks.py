"""Tasks for any epsilon by name: `pope_eps0.17` works without a YAML.

The task equals the one of this YAML, beside the template `_pope_yaml`:

    include: _pope_yaml
    task: pope_eps0.17
    perturbations: [{name: gaussian_noise, epsilon: 0.17}]
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_eval.utils import load_yaml_config

from vlm_confidence_tasks.errors import TaskError

_NAME = re.compile(r"(\w+)_eps([^*?\[]+)(?<!\.yaml)")
_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)(e-?\d+)?", re.ASCII)


def split_name(name: str, prefixes: Collection[str]) -> tuple[str, float] | None:
    """Split a task's name into its template's prefix and epsilon.

    >>> split_name("pope_adv_eps0.25", {"pope", "pope_adv"})
    ('pope_adv', 0.25)
    >>> split_name("pope_eps0.*", {"pope"}) is None, split_name("mine_eps1", {"pope"}) is None
    (True, True)

    Raises:
        TaskError: The prefix is known, but what follows is no number in [0, 1].
    """
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in prefixes:
        return None
    prefix, text = found[1], found[2]
    if not _NUMBER.fullmatch(text) or float(text) > 1:
        raise TaskError(
            f"task {name}: epsilon is {text!r}, expected a number in [0, 1], as in {prefix}_eps0.17"
        )
    return prefix, float(text)


def task_config(
    requested: str | Mapping[str, Any] | None, registered: Collection[str], folder: str
) -> dict[str, Any] | None:
    """Return the configuration of a task that is named after an epsilon and has no YAML.

    Args:
        requested: What the harness is to load: a name, or a mapping with the name under
            `task` and values that override the template's.
        registered: Names of tasks with a YAML, for which the result is None.
        folder: The folder of the task YAMLs.

    Returns:
        The configuration; None for every other task or group.

    Raises:
        TaskError: The epsilon is no number in [0, 1].
    """
    overrides = requested if isinstance(requested, Mapping) else {"task": requested}
    name = overrides.get("task")
    if not isinstance(name, str) or name in registered:
        return None
    templates = {path.name[1 : -len("_yaml")]: path for path in Path(folder).glob("*/_*_yaml")}
    found = split_name(name, templates)
    if found is None:
        return None
    prefix, epsilon = found
    template = load_yaml_config(str(templates[prefix]), mode="full")
    perturbations = [{"name": "gaussian_noise", "epsilon": epsilon}]
    return {**template, "perturbations": perturbations, **overrides}


def named_after_epsilon(
    patterns: str | Sequence[str], registered: Collection[str], folder: str
) -> list[str]:
    """Return the names for which `task_config` makes a task.

    Raises:
        TaskError: An epsilon is no number in [0, 1].
    """
    names = [patterns] if isinstance(patterns, str) else patterns
    return [name for name in names if task_config(name, registered, folder) is not None]
