"""What all processes of a run know, put together."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed

Value = TypeVar("Value")


def gather(value: Value) -> list[Value]:
    """Return the value of every process, in order of rank; every process must call it.

    Between processes that the harness started together, as it gathers its own results.
    """
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not distributed or torch.distributed.get_world_size() == 1:
        return [value]
    found: list[Value | None] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, value)
    return [one for one in found if one is not None]
