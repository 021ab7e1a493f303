"""Imports point one way: the contracts in pyproject.toml, and that each of them holds something."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
from importlinter.cli import lint_imports

import vlm_confidence_tasks

PACKAGE = Path(vlm_confidence_tasks.__file__).parent
OURS = PACKAGE.name
PYPROJECT = PACKAGE.parent / "pyproject.toml"
IN_FUNCTION = "def later():\n    "
FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "
# File, what is added to it, and the contract that this breaks.
PLANTED = [
    ("types.py", f"{FOR_TYPES}from OURS.errors import one_line", "Rooms import from lines below"),
    ("attic/__init__.py", "", "Rooms import from lines below"),
    ("metrics/one.py", "from OURS.metrics.two import x", "No circles"),
    ("metrics/two.py", f"{IN_FUNCTION}import OURS.metrics.one", "No circles"),
    ("probe/new.py", f"{IN_FUNCTION}import OURS.benchmarks.pope", "Who may import benchmarks"),
    ("models/new.py", "from OURS import perturbations", "Who may import perturbations"),
    ("masks/new.py", f"{FOR_TYPES}from OURS.metrics import x", "Who may import metrics"),
    ("report/new.py", "from OURS.probe import Reading", "Who may import probe"),
    ("evaluation/new.py", "import OURS.sandbox", "Who may import sandbox"),
    ("report/other.py", "import OURS.masks", "Who may import masks"),
    ("calibration/new.py", "import OURS.evaluation", "Who may import attacks, evaluation, models"),
    ("harness/new.py", "from OURS.report import compare", "Who may import report"),
    ("benchmarks/new.py", "import torch.nn as nn", "Who may import torch"),
    ("perturbations/new.py", f"{IN_FUNCTION}import lmms_eval.tasks", "Who may import lmms_eval"),
]


def taken_from_around(graph: grimp.ImportGraph) -> list[tuple[str, str]]:
    """Return what takes from a package around it, whose `__init__` may import it in turn.

    A circle that no contract holds. The version may be taken: around it nothing is imported.
    """
    return sorted(
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported != OURS and importer.startswith(f"{imported}.")
    )


def test_the_contracts_are_kept() -> None:
    assert lint_imports(str(PYPROJECT), no_cache=True, no_logo=True) == 0
    assert taken_from_around(grimp.build_graph(OURS, cache_dir=None)) == []


def test_what_takes_from_the_package_around_it_is_named() -> None:
    graph = grimp.build_graph(OURS, cache_dir=None)
    inside, around = f"{OURS}.metrics.functional.ranking", f"{OURS}.metrics"
    graph.add_import(importer=inside, imported=around)
    assert taken_from_around(graph) == [(inside, around)]


def test_each_contract_names_what_breaks_it(tmp_path: Path) -> None:
    for file in PACKAGE.rglob("*.py"):
        copy = tmp_path / file.relative_to(PACKAGE.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    for name, code, _ in PLANTED:
        file = tmp_path / OURS / name
        file.parent.mkdir(exist_ok=True)
        before = file.read_text() if file.exists() else ""
        file.write_text(f"{before}\n{code.replace('OURS', OURS)}\n")
    program = f"""if True:
        from importlinter.cli import lint_imports
        lint_imports({str(PYPROJECT)!r}, no_cache=True, no_logo=True)"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    verdicts, _, details = done.stdout.partition("Broken contracts")
    assert "BROKEN" in verdicts and "KEPT" not in verdicts
    # Each contract's name is underlined, and what breaks it follows.
    parts = re.split(r"\n(.+)\n-{3,}\n", details)
    said = dict(zip(parts[1::2], parts[2::2], strict=True))
    for name, _, contract in PLANTED:
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        (text,) = (text for heading, text in said.items() if heading.startswith(contract))
        assert f"{OURS}.{module}" in text or f".{module.partition('.')[2]} " in text, name
