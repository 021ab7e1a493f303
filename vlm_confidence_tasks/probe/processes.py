"""What a run knows of its processes and of their memory."""

import gc
from typing import TypeVar

import torch
import torch.distributed


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


Value = TypeVar("Value")


def gather(value: Value) -> list[Value]:
    """Return the value of every process, in order of rank; every process must call it.

    Uses the harness's own torch.distributed process group.
    """
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not distributed or torch.distributed.get_world_size() == 1:
        return [value]
    found: list[Value | None] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, value)
    return [part for part in found if part is not None]
