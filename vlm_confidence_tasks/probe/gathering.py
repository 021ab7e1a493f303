"""Gathers Python objects from all processes of a run."""

from typing import TypeVar

import torch.distributed

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
