"""Detects out-of-memory errors and frees device memory."""

import gc

import torch


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error is a device's out-of-memory error.

    CUDA has its own exception type; other backends raise a RuntimeError with this message.

    >>> out_of_memory(RuntimeError("MPS backend out of memory (allocated: 18 GB)"))
    True
    >>> out_of_memory(RuntimeError("shapes cannot be multiplied"))
    False
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "out of memory" in str(error).lower()


def free_memory() -> None:
    """Free unreferenced memory, also of the CUDA allocator's cache."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
