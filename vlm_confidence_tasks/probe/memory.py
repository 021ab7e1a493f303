"""Running out of a device's memory, and what can be done about it."""

from __future__ import annotations

import gc

import torch


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error says that a device's memory did not suffice.

    CUDA raises a type of its own; other backends say so in a RuntimeError's message.

    >>> out_of_memory(RuntimeError("MPS backend out of memory (allocated: 18 GB)"))
    True
    >>> out_of_memory(RuntimeError("shapes cannot be multiplied"))
    False
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "out of memory" in str(error).lower()


def free_memory() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
