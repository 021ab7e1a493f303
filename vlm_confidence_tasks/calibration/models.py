"""Models to train: loading, adapters, and what training needs of them."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from vlm_confidence_tasks.calibration.config import TrainConfig
from vlm_confidence_tasks.errors import TaskError, one_line


def check_packages() -> None:
    """Raise TaskError if a package of the extra is missing."""
    for name in ("trl", "peft"):
        if find_spec(name) is None:
            raise TaskError(f"package {name} is missing: pip install 'vlm_confidence_tasks[csp]'")


def load_processor(source: str) -> Any:
    """Load a model's processor, or raise TaskError; it needs a chat template and images."""
    try:
        processor = AutoProcessor.from_pretrained(source)
    except Exception as error:
        raise TaskError(f"model {source}: cannot be loaded: {one_line(error)}") from error
    if not getattr(processor, "chat_template", None):
        raise TaskError(
            f"model {source}: has no chat template, in which questions are put: name a model that "
            "was trained on conversations"
        )
    if not hasattr(processor, "image_processor"):
        raise TaskError(f"model {source}: takes no images: name a vision-language model")
    return processor


def load_model(source: str, config: TrainConfig) -> Any:
    """Load a model, with adapters if there are to be any, or raise TaskError."""
    try:
        model = AutoModelForImageTextToText.from_pretrained(source, dtype=config.dtype)
    except Exception as error:
        raise TaskError(f"model {source}: cannot be loaded: {one_line(error)}") from error
    return model if config.lora is None else _with_adapters(model, source, config)


def _with_adapters(model: Any, source: str, config: TrainConfig) -> Any:
    from peft import LoraConfig, get_peft_model

    assert config.lora is not None
    wanted = LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.modules,
    )
    try:
        # Adapters begin with random weights.
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            return get_peft_model(model, wanted)
    except ValueError as error:
        raise TaskError(
            f"model {source}: no adapter fits: {one_line(error)}: set train.lora.modules to a "
            "regular expression for its linear modules"
        ) from error


def save_model(model: Any, processor: Any, folder: Path) -> None:
    """Write a trained model, as `from_pretrained` reads it; adapters are merged into it."""
    whole = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
    whole.save_pretrained(folder)
    processor.save_pretrained(folder)
