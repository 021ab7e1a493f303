"""What an engine can measure; its model's origin, files and numerics, for the cache's keys."""

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

Capability = Literal["probabilities", "options", "representations"]

# What is said of an engine without probabilities.
NO_PROBABILITIES = (
    "accuracy and flips are measured; "
    "entropy, calibration and all else that needs probabilities is absent"
)


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


def folder_digest(folder: Path) -> str:
    """Digest the contents of all files in a folder, or of one file.

    Hidden files, which downloads create, are left out. Every byte is read, since a file can
    change without a new size or time: about 1 GB per second and core.
    """
    if folder.is_file():
        return _file_digest(folder)
    files = sorted(
        path
        for path in folder.rglob("*")
        if not path.is_dir() and "/." not in f"/{path.relative_to(folder).as_posix()}"
    )
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        digests = list(pool.map(_file_digest, files))
    names = [path.relative_to(folder).as_posix() for path in files]
    text = json.dumps(list(zip(names, digests, strict=True)), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
