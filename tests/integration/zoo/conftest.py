"""Checkpoints and adapters of the zoo, each made once."""

from __future__ import annotations

import gc

import pytest
import torch
from lmms_eval.tasks import TaskManager

from . import FAMILIES, build
from .watching import Evaluation, evaluate


@pytest.fixture(scope="session")
def zoo_environment():
    """The sandbox's data, and one thread: runs can then be compared bit for bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLM_CONFIDENCE_DATA", "sandbox")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def task_manager(zoo_environment) -> TaskManager:
    return TaskManager(include_defaults=False)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A function that returns a family's checkpoint."""
    made = {}

    def path(family: str):
        if family not in made:
            made[family] = build(family, tmp_path_factory.mktemp(family))
        return made[family]

    return path


@pytest.fixture(scope="session")
def evaluated(checkpoint, task_manager):
    """A function that evaluates a family, once for each way to do it."""
    done: dict[tuple, Evaluation] = {}

    def run(family: str, *, simple: bool = False, batch_size: int = 1, float32: bool = False):
        # Where the adapter keeps float32 anyway, there is nothing to turn.
        float32 = float32 and not FAMILIES[family].float32
        key = (family, simple, batch_size, float32)
        if key not in done:
            done[key] = evaluate(
                FAMILIES[family],
                checkpoint(family),
                task_manager,
                simple=simple,
                batch_size=batch_size,
                float32=float32,
            )
            gc.collect()
        return done[key]

    return run
