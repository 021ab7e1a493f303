"""Imports point one way, as the design draws them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vlm_confidence_tasks

PACKAGE = Path(vlm_confidence_tasks.__file__).parent
OURS = "vlm_confidence_tasks"
HEAVY = {"torch", "transformers", "accelerate", "lmms_eval"}

# room -> other rooms that it may import
ALLOWED = {
    "types": set(),
    "benchmarks": {"types"},
    "perturbations": {"types"},
    "metrics": {"types"},
    "probe": {"types"},
    "sandbox": {"types", "perturbations", "benchmarks"},
    # Images of flips are made again: by the registry, from the benchmarks' own rows.
    "report": {"types", "metrics", "perturbations", "benchmarks", "sandbox"},
    "harness": {"types", "benchmarks", "perturbations", "metrics", "probe", "models", "sandbox"},
    "models": {"types", "probe", "sandbox"},
}
# room -> packages that it must not import
FORBIDDEN = {
    "types": HEAVY,
    "benchmarks": HEAVY,
    "perturbations": HEAVY,
    "metrics": HEAVY,
    "report": HEAVY,
    "sandbox": HEAVY,
    "probe": {"lmms_eval"},
    "harness": {"torch", "transformers"},
    "models": set(),
}


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files() -> Iterator[tuple[str, Path]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in ("__init__", "__main__"):
            yield room, file


def test_every_room_is_on_the_plan() -> None:
    assert {room for room, _ in files()} == set(ALLOWED)


@pytest.mark.parametrize(("room", "file"), [(r, f) for r, f in files()], ids=lambda v: str(v)[-40:])
def test_imports_point_one_way(room: str, file: Path) -> None:
    for name in imports(file):
        top, *rest = name.split(".")
        assert top not in FORBIDDEN[room], f"{file} imports {name}"
        if top == OURS and rest and (PACKAGE / rest[0]).exists():
            assert rest[0] in ALLOWED[room] | {room}, f"{file} imports {name}"
