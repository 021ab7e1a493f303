"""Imports point one way, as the design draws them, and nowhere in a circle."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import vlm_confidence_tasks

PACKAGE = Path(vlm_confidence_tasks.__file__).parent
OURS = PACKAGE.name
HEAVY = {"torch", "transformers", "accelerate"}
HARNESS = {"lmms_eval"}

GROUND = {"types", "errors"}
# room -> other rooms that it may import
ALLOWED = {
    "types": set(),
    "errors": set(),
    "benchmarks": GROUND,
    "perturbations": GROUND,
    "metrics": GROUND,
    "probe": GROUND,
    "sandbox": {"benchmarks"},
    "masks": GROUND | {"perturbations", "probe", "sandbox"},
    "attacks": GROUND | {"benchmarks", "perturbations", "probe"},
    "evaluation": GROUND | {"benchmarks", "perturbations", "metrics", "probe", "masks"},
    "models": GROUND | {"probe", "sandbox"},
    "harness": GROUND
    | {"benchmarks", "perturbations", "metrics", "probe", "evaluation", "models", "sandbox"}
    | {"attacks", "masks"},
    # Images of flips are made again: by the registry, from the benchmarks' own rows.
    "report": GROUND | {"metrics", "perturbations", "benchmarks", "sandbox"},
    # Evaluates by the command line, and compares as the report does.
    "calibration": GROUND
    | {"benchmarks", "perturbations", "masks", "metrics", "report", "sandbox"},
    "__init__": set(),
    "__main__": {"harness"},
    # The command `vlm-confidence`: `plan` is of the harness, `csp` of the calibration, all else of
    # the report.
    "cli": GROUND | {"harness", "report", "calibration", "metrics", "masks", "sandbox"},
}
# packages -> rooms that may import them
ONLY_IN = {
    **dict.fromkeys(HEAVY, {"attacks", "calibration", "masks", "probe", "models"}),
    **dict.fromkeys(HARNESS, {"harness", "models"}),
}


def imports(file: Path) -> Sequence[tuple[str, str | None]]:
    """Find the imports of a file, wherever they stand: (module, name taken from it or None).

    Imports under TYPE_CHECKING, in functions and by `import_module("...")` are among them;
    relative ones begin with a dot.
    """
    return _imports(file.read_text())


# A file and its copies are parsed once.
@cache
def _imports(text: str) -> Sequence[tuple[str, str | None]]:
    return tuple(_found_imports(ast.parse(text)))


def _found_imports(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", None))
            argument = node.args[0]
            if called in ("import_module", "__import__") and isinstance(argument, ast.Constant):
                yield str(argument.value), None


def modules(root: Path) -> dict[str, Path]:
    """Return the files of a package by module name; that of a package is its `__init__`."""
    found = {}
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def bound(file: Path) -> set[str]:
    """Return the names that a file binds at its top level."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def edges(root: Path) -> Iterator[tuple[str, str]]:
    """Find which module of a package imports which of its others.

    `from package import name` imports `package.name` if that is a module, and the
    package's `__init__` if that binds the name. To import a module is also to run the
    `__init__` of each package around it that is not around the importing module too.
    """
    files = modules(root)
    exported = {name: bound(file) for name, file in files.items() if file.stem == "__init__"}
    for importer, file in files.items():
        for module, name in imports(file):
            if module not in files:
                continue
            within = f"{module}.{name}"
            if within in files:
                found = {within, *({module} if name in exported.get(module, ()) else ())}
            else:
                found = {module}
            for imported in found:
                around = _packages_around(imported)
                found = found | (around - {importer} - _packages_around(importer))
            yield from ((importer, imported) for imported in sorted(found - {importer}))


def _packages_around(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts))}


def violations(root: Path) -> list[str]:
    """Return what a package's imports do that the tables above do not allow, a line each."""
    rooms = {path.name.removesuffix(".py") for path in root.iterdir()}
    found = []
    for file in modules(root).values():
        place = file.relative_to(root)
        room = place.parts[0].removesuffix(".py")
        if room not in ALLOWED:
            found.append(f"{place}: the design has no room {room}")
            continue
        for imported, name in imports(file):
            top, *rest = [*imported.split("."), *([name] if name and imported == OURS else [])]
            written = f"{place} imports {imported}{f'.{name}' if name else ''}"
            if imported.startswith("."):
                found.append(f"{written}: relative")
            elif room not in ONLY_IN.get(top, {room}):
                found.append(f"{written}: {top} is for {', '.join(sorted(ONLY_IN[top]))} only")
            elif top == root.name and rest and rest[0] in rooms - ALLOWED[room] - {room}:
                found.append(f"{written}: {room} may not import {rest[0]}")
    return sorted(set(found))


def circles(root: Path) -> list[str]:
    """Return circles of imports, a line each: `a -> b -> a`, and by which modules.

    In each folder, files and folders must import one another in one direction: a circle
    of files is one, and one of folders whose files form none is too.
    """
    levels: dict[str, dict[tuple[str, str], str]] = {}
    for importer, imported in edges(root):
        parts, others = importer.split("."), imported.split(".")
        # A package's own `__init__` stands beside what is in it.
        parts, others = ([*words, "__init__"] for words in (parts, others))
        same = next(n for n, (a, b) in enumerate(zip(parts, others, strict=False)) if a != b)
        hop = (".".join(parts[: same + 1]), ".".join(others[: same + 1]))
        level = levels.setdefault(".".join(parts[:same]), {})
        level.setdefault(hop, f"{importer} imports {imported}")
    return [line for hops in levels.values() for line in _circles_of(dict(hops))]


def _circles_of(hops: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """Find circles and cut each open, until there is none."""
    left = dict(hops)
    while True:
        graph: dict[str, set[str]] = {}
        for importer, imported in left:
            graph.setdefault(importer, set()).add(imported)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # In it each module comes before the one that imports it.
            circle = error.args[1][::-1]
            taken = list(zip(circle, circle[1:], strict=False))
            yield f"{' -> '.join(circle)} ({'; '.join(left[hop] for hop in taken)})"
            del left[taken[-1]]
        else:
            return


def test_every_room_is_on_the_plan_and_there() -> None:
    there = {name.split(".")[1] for name in modules(PACKAGE) if "." in name}
    assert there == set(ALLOWED) - {"__init__"}


def test_imports_point_one_way() -> None:
    assert violations(PACKAGE) == []


def test_no_imports_form_a_circle() -> None:
    assert circles(PACKAGE) == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package's code, to plant imports in."""

    def other_files(folder: str, names: list[str]) -> list[str]:
        files = [name for name in names if not (Path(folder) / name).is_dir()]
        return [name for name in files if not name.endswith(".py")]

    return Path(shutil.copytree(PACKAGE, tmp_path / OURS, ignore=other_files))


def plant(root: Path, files: Mapping[str, str]) -> None:
    """Write lines at the end of files, which may be new, with OURS for the package."""
    for name, line in files.items():
        file = root / name
        file.parent.mkdir(exist_ok=True)
        before = file.read_text() if file.exists() else ""
        file.write_text(f"{before}\n{line.replace('OURS', OURS)}\n")


IN_FUNCTION = "def later():\n    "
FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "


@pytest.mark.parametrize(
    ("file", "line", "named"),
    [
        ("metrics/new.py", "from OURS.harness import plugin", "metrics may not import harness"),
        ("metrics/new.py", "from OURS import report", "metrics may not import report"),
        ("types.py", f"{FOR_TYPES}from OURS.metrics import METRICS", "types may not import metric"),
        ("probe/new.py", f"{IN_FUNCTION}import OURS.models.x", "probe may not import models"),
        ("report/new.py", "import_module('OURS.probe')", "report may not import probe"),
        ("report/new.py", "from OURS.harness.task import IMAGES", "report may not import harness"),
        (
            "benchmarks/new.py",
            "import torch.nn as nn",
            "torch is for attacks, calibration, masks, models, probe only",
        ),
        (
            "harness/new.py",
            f"{IN_FUNCTION}from torch import nn",
            "torch is for attacks, calibration, masks, models, probe only",
        ),
        ("probe/new.py", "import lmms_eval.tasks", "lmms_eval is for harness, models only"),
        (
            "metrics/new.py",
            f"{FOR_TYPES}import transformers",
            "transformers is for attacks, calibration, masks, models, probe only",
        ),
        ("metrics/new.py", "from .entropy import x", "imports .entropy.x: relative"),
        ("metrics/new.py", "from . import calibration", "imports ..calibration: relative"),
        ("attic/new.py", "x = 1", "the design has no room attic"),
    ],
)
def test_an_import_that_is_not_allowed_is_named(
    copy: Path, file: str, line: str, named: str
) -> None:
    before = violations(copy)
    plant(copy, {file: line})
    (new,) = set(violations(copy)) - set(before)
    assert new.startswith(file) and named in new


ONE_TO_TWO = {"metrics/one.py": "from OURS.metrics.two import x"}
TWO_TO_ONE = "from OURS.metrics.one import x"


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (ONE_TO_TWO | {"metrics/two.py": TWO_TO_ONE}, ("metrics.one", "metrics.two")),
        (ONE_TO_TWO | {"metrics/two.py": FOR_TYPES + TWO_TO_ONE}, ("metrics.one", "metrics.two")),
        (ONE_TO_TWO | {"metrics/two.py": IN_FUNCTION + TWO_TO_ONE}, ("metrics.one", "metrics.two")),
        (
            ONE_TO_TWO
            | {
                "metrics/two.py": "from OURS.metrics import three",
                "metrics/three.py": "import OURS.metrics.one",
            },
            ("metrics.one", "metrics.two", "metrics.three"),
        ),
        # What a package's `__init__` binds is taken from where it is, inside the package.
        (
            {
                "metrics/__init__.py": "from OURS.metrics.one import x",
                "metrics/one.py": "from OURS.metrics import x",
            },
            ("metrics.__init__", "metrics.one"),
        ),
        # `one` runs the `__init__` of `sub`, which runs `two`.
        (
            {
                "metrics/one.py": "import OURS.metrics.sub.plain",
                "metrics/sub/__init__.py": "import OURS.metrics.sub.two",
                "metrics/sub/plain.py": "",
                "metrics/sub/two.py": TWO_TO_ONE,
            },
            ("metrics.one", "metrics.sub"),
        ),
        # Two folders, of whose files none imports itself by way of others.
        (
            {
                "metrics/left/__init__.py": "",
                "metrics/right/__init__.py": "",
                "metrics/left/a.py": "import OURS.metrics.right.b",
                "metrics/right/b.py": "",
                "metrics/right/c.py": "import OURS.metrics.left.d",
                "metrics/left/d.py": "",
            },
            ("metrics.left", "metrics.right"),
        ),
        # Between rooms.
        (
            {
                "metrics/one.py": "import OURS.benchmarks.two",
                "benchmarks/two.py": f"{IN_FUNCTION}from OURS.metrics import one",
            },
            ("metrics", "benchmarks"),
        ),
    ],
)
def test_a_circle_is_named(copy: Path, files: Mapping[str, str], named: tuple[str, ...]) -> None:
    before = circles(copy)
    plant(copy, files)
    (new,) = set(circles(copy)) - set(before)
    hops = new.partition(" (")[0].split(" -> ")
    assert set(hops) == {f"{OURS}.{name}" for name in named} and hops[0] == hops[-1]


def test_what_points_one_way_is_no_circle(copy: Path) -> None:
    before = circles(copy), violations(copy)
    files = {
        "metrics/__init__.py": "from OURS.metrics.one import x\nimport OURS.metrics.two",
        "metrics/two.py": "import numpy\nfrom OURS import __version__",
        "report/new.py": "from OURS.metrics import x, one\nimport OURS.metrics.two",
    }
    plant(copy, ONE_TO_TWO | files)
    assert (circles(copy), violations(copy)) == before
