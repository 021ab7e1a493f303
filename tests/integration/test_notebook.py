"""The notebook runs from top to bottom, and what is stored in it is what comes out.

VLM_CONFIDENCE_WRITE_NOTEBOOK=1 pytest tests/integration/test_notebook.py    # store it again
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import run_command

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
SECONDS = 180


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The notebook after a run of all its cells."""
    folder = tmp_path_factory.mktemp("notebook")
    copy = Path(shutil.copy(NOTEBOOK, folder))
    options = ["--nbmake", "--overwrite", f"--nbmake-timeout={SECONDS}", "-p", "no:cacheprovider"]
    done = run_command([sys.executable, "-m", "pytest", *options, copy.name], folder)
    assert done.code == 0, done.output
    found = json.loads(copy.read_text())
    for cell in found["cells"]:
        # When it ran.
        cell["metadata"].pop("execution", None)
    # The interpreter's version.
    found["metadata"]["language_info"] = {"name": "python"}
    if "VLM_CONFIDENCE_WRITE_NOTEBOOK" in os.environ:
        NOTEBOOK.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return found


def outputs(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Every code cell's outputs; of a picture, that there is one."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [[_without_pixels(output) for output in cell["outputs"]] for cell in cells]


def _without_pixels(output: dict[str, Any]) -> dict[str, Any]:
    data = {
        kind: kind if "image" in kind else text for kind, text in output.get("data", {}).items()
    }
    return {**output, "data": data}


NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?(?:e[-−+]?\d+)?")


def numbers(text: str) -> list[float]:
    """Every number that a text shows."""
    return [float(number.replace("−", "-")) for number in NUMBER.findall(text)]


def test_what_is_stored_is_what_comes_out(ran: dict[str, Any]) -> None:
    stored = outputs(json.loads(NOTEBOOK.read_text()))
    told, came = (json.dumps(of, ensure_ascii=False) for of in (stored, outputs(ran)))
    assert NUMBER.sub("#", told) == NUMBER.sub("#", came)
    # Processors round a probability's last bits each in its own way, which shows in numbers
    # of a millionth that are printed to two digits.
    assert numbers(told) == pytest.approx(numbers(came), rel=0, abs=1e-6)
    # A summary, a table and two pictures.
    shown = json.dumps(stored)
    assert "Clean -> perturbed" in shown and "text/markdown" in shown
    assert shown.count('"image/png": "image/png"') == 2
    assert "stderr" not in shown


def test_what_is_stored_says_whose_it_is_and_names_no_machine() -> None:
    text = NOTEBOOK.read_text()
    assert "outputs stored here are of the sandbox" in text
    assert not re.findall(r"/(?:home|root|tmp|usr|opt|work)/", text)
    assert len(text) < 300_000
