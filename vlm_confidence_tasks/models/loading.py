"""Loads a checkpoint of the hub or a folder, on a CPU or GPUs, quantised or not."""

from __future__ import annotations

import logging
from typing import Any

import torch
from transformers import AutoConfig, BitsAndBytesConfig

_LOGGED: set[str] = set()


def dtype_named(name: str, device: torch.device) -> Any:
    """Return the dtype to load in; float32 on CPUs, where float16 is slow.

    Raises:
        ValueError: There is no such dtype.
    """
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"dtype is {name!r}, expected auto, float32, float16 or bfloat16")
    return dtype


def quantisation(
    four_bit: bool, eight_bit: bool, dtype: Any, pretrained: str, **options: Any
) -> BitsAndBytesConfig | None:
    """Return how bitsandbytes quantises, None if it does not.

    With 4 bits products are computed in the model's dtype; where that is "auto", the configuration
    of `pretrained`, loaded with the options, says which it is.
    """
    if not (four_bit or eight_bit):
        return None
    # For float32 models bitsandbytes logs a message about float16 in every layer of every pass.
    logging.getLogger("bitsandbytes.autograd._functions").addFilter(_first_time)
    if eight_bit:
        return BitsAndBytesConfig(load_in_8bit=True)
    if dtype == "auto":
        config = AutoConfig.from_pretrained(pretrained, **options)
        dtype = config.dtype or config.get_text_config().dtype or torch.float32
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=dtype)


def _first_time(record: logging.LogRecord) -> bool:
    """Whether a message has not been logged in this process before."""
    message = record.getMessage()
    new = message not in _LOGGED
    _LOGGED.add(message)
    return new
