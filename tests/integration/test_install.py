"""The package as it is installed: entry points, commands, and a wheel of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import BIN, run_command

ROOT = Path(__file__).parents[2]
NEEDED = ["pope_eps0.1", "pope_random_eps0.5", "caption_eps0.3", "pope_eps", "caption_eps"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(out), "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = out.glob("*.whl")
    return file


def test_the_wheel_holds_tasks_data_and_model(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "vlm_confidence_tasks/task_yamls/suffixes/eps.yaml",
        "vlm_confidence_tasks/task_yamls/pope/_pope_yaml",
        "vlm_confidence_tasks/task_yamls/pope/README.md",
        "vlm_confidence_tasks/report/published.yaml",
        "vlm_confidence_tasks/sandbox/data/pope/test.parquet",
        "vlm_confidence_tasks/sandbox/model/model.safetensors",
        "vlm_confidence_tasks/py.typed",
    ):
        assert part in names
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "tiny_world"))]
    # A package that setup.cfg does not name works from the checkout alone.
    package = ROOT / "vlm_confidence_tasks"
    modules = {str(file.relative_to(ROOT)) for file in package.rglob("*.py")}
    assert not modules - set(names)


def test_a_wheel_outside_the_checkout_brings_its_tasks(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = ["-m", "pip", "install", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    program = (
        "import vlm_confidence_tasks, lmms_eval.models as models\n"
        "from lmms_eval.tasks import TaskManager\n"
        "print(vlm_confidence_tasks.__file__)\n"
        "tasks = TaskManager('WARNING', include_defaults=False).all_tasks\n"
        f"print([name for name in {NEEDED!r} if name not in tasks])\n"
        "print({'llava', 'tiny_llava'} - set(models.list_available_models()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    where, missing_tasks, missing_models = done.stdout.strip().splitlines()[-3:]
    assert where.startswith(str(site)), done.stderr
    assert missing_tasks == "[]" and missing_models == "set()"


def test_the_stock_command_sees_our_tasks_without_a_warning(tmp_path: Path) -> None:
    done = run_command(["lmms-eval", "--tasks", "list"], tmp_path, fresh=True)
    assert done.code == 0 and " - pope_eps0.3" in done.output
    assert "entry-point" not in done.output


def test_a_task_that_does_not_exist(tmp_path: Path) -> None:
    command = ["lmms_eval", "--model", "tiny_llava", "--tasks", "pope_nothing"]
    done = run_command(command, tmp_path)
    assert done.code == 1
    assert done.last_line.startswith("lmms_eval: error: Tasks not found: pope_nothing")


def test_help_and_version_are_the_harness_own(tmp_path: Path) -> None:
    assert "--include_path" in run_command(["lmms_eval", "eval", "--help"], tmp_path).output
    assert run_command(["lmms_eval", "version"], tmp_path).code == 0
    assert (BIN / "vlm-confidence").exists()
