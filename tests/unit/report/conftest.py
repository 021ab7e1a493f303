"""Runs and a leaderboard that several of the report's tests look at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import made_once

from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.types import Variant

FAMILIES = (
    Variant("translate", (("dx", 8),), family="translation"),
    Variant("translate", (("dx", -8),), family="translation"),
    Variant("rotate", (("degrees", 30),), family="rotation"),
    Variant("text_overlay", (("content", "empty"),), family="textoverlay_empty", control=True),
)
# name in model_args -> how good the model is
MODELS = {"": 6.0, ",load_in_8bit=True": 1.0, ",load_in_4bit=True": 0.0}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model in three precisions, each in two strengths of noise and a family task."""

    def make(folder: Path) -> None:
        asked = questions(40, images=40)
        for n, (args, skill) in enumerate(MODELS.items()):
            tasks = {
                f"pope_eps{epsilon}": answers(asked, [noise(epsilon)], seed=10 * n + k, skill=skill)
                for k, epsilon in enumerate((0.1, 0.3))
            }
            tasks["pope_invariance"] = answers(asked, FAMILIES, seed=10 * n + 9, skill=skill)
            write_run(folder, tasks, args=f"pretrained=org/tiny{args}")

    return made_once(tmp_path_factory, "runs", make)


@pytest.fixture(scope="session")
def written(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `vlm-confidence leaderboard` writes for them."""

    def make(folder: Path) -> None:
        options = ["--workers", "1", "--quiet"]
        cli.main(["leaderboard", str(runs), "--output", str(folder), *options])

    return made_once(tmp_path_factory, "board", make)


@pytest.fixture(scope="session")
def leaderboard(written: Path) -> dict:
    """Its `leaderboard.json`."""
    return json.loads((written / "leaderboard.json").read_text())
