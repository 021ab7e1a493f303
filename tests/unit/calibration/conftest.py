"""Examples of a few scenes, and the tiny model to train on them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from calibration.making import asked, finder, scenes
from vlm_confidence_tasks.calibration.config import Config, DataConfig, read_config
from vlm_confidence_tasks.calibration.data import write_examples

SMALL = """
include: csp
train:
  dtype: float32
  gradient_checkpointing: false
  lora: null
  sft: {steps: 4, batch_size: 4, accumulation: 1, learning_rate: 3.0e-4, save_steps: 2}
  simpo: {steps: 2, batch_size: 4, accumulation: 1, learning_rate: 2.0e-5, save_steps: 2}
"""


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of examples."""
    folder, drawn = tmp_path_factory.mktemp("examples"), scenes(12)
    write_examples(asked(drawn), finder(drawn).of, DataConfig(held_out=0.25, copies=4), folder)
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A configuration of a few steps."""
    file = tmp_path_factory.mktemp("config") / "small.yaml"
    file.write_text(SMALL)
    return read_config(str(file))


def changed(config: Config, **train: object) -> Config:
    """Return a configuration with other values under `train`."""
    replace = msgspec.structs.replace
    return replace(config, train=replace(config.train, **train))
