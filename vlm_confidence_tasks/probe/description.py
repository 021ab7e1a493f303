"""Describes a loaded model for the cache's fingerprint: origin of its weights, numerics."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Origin:
    """Where a model's weights came from.

    Attributes:
        name: Hub id or folder, as it was loaded.
        folder: The folder, if `name` is one.
        revision: The hub's commit, None if it is not known.
    """

    name: str
    folder: Path | None
    revision: str | None


def origin(model: Any) -> Origin:
    """Return where transformers loaded a model from."""
    config = getattr(model, "config", None)
    name = str(getattr(config, "_name_or_path", None) or "")
    folder = Path(name) if name and os.path.isdir(name) else None
    return Origin(name, folder, getattr(config, "_commit_hash", None))


def numerics(model: torch.nn.Module) -> dict[str, Any]:
    """Return the dtypes, device types, attention kernel and quantisation of a model (JSON).

    Device types without indices, since results do not depend on which GPU is used.
    """
    tensors = [*model.parameters(), *model.buffers()]
    config = getattr(model, "config", None)
    quantisation = getattr(config, "quantization_config", None)
    if quantisation is not None and not isinstance(quantisation, Mapping):
        quantisation = quantisation.to_dict()
    return {
        "class": type(model).__name__,
        "dtypes": sorted({str(tensor.dtype) for tensor in tensors}),
        "devices": sorted({tensor.device.type for tensor in tensors}),
        "attention": getattr(config, "_attn_implementation", None),
        "quantisation": None if quantisation is None else _plain(quantisation),
    }


def is_exact(model: torch.nn.Module) -> bool:
    """Whether all weights have at least 32 bits, so that rounding is small."""
    return all(p.is_floating_point() and p.element_size() >= 4 for p in model.parameters())


def _plain(value: Any) -> Any:
    """Turn values that JSON cannot represent (a dtype) into text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
