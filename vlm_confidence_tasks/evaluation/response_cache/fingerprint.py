"""All that decides an answer, as a digest.

Two runs whose digests agree are given the same answers; so everything that can change an
answer or a number read from it is in here, and nothing else: not the task, the order, the
batch size or the number of processes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.evaluation.request import Request

# Raised when what is measured, or what is in here, changes without any version or field doing so.
FORMAT = 2
# Packages whose code makes the numbers; those that are not installed count as such.
PACKAGES = (
    *("vlm_confidence_tasks", "lmms_eval", "torch", "torchvision", "transformers"),
    *("tokenizers", "pillow", "bitsandbytes"),
)
# The records whose fields an answer is cached with.
RECORDS = (probe.Reading, probe.HiddenStates)
# Model arguments that say how the work is laid out, not what is computed.
LAYOUT = {
    *("batch_size", "batch_size_per_gpu", "max_batch_size"),
    *("device", "device_map", "rank", "world_size"),
}


class UnknownWeights(ValueError):
    """A model's weights cannot be told from others; its answers cannot be cached."""


def model_fingerprint(
    adapter: Any, source: probe.LogitSource, arguments: Mapping[str, Any] | None
) -> str:
    """Return a digest of the model, how it is loaded, and the code that runs it.

    Args:
        adapter: The harness's adapter.
        source: Where the numbers behind its answers come from.
        arguments: That the adapter was made with; None if they are not known.

    Raises:
        UnknownWeights: The model is neither from a folder that can be read nor from a known
            commit of the hub.
    """
    origin = source.origin
    if origin is None:
        raise UnknownWeights("it runs no transformers model here")
    return _digest(
        {
            "format": FORMAT,
            "versions": {name: _version(name) for name in PACKAGES},
            "adapter": f"{type(adapter).__module__}.{type(adapter).__qualname__}",
            "arguments": _arguments(adapter, arguments, origin.name),
            "weights": _weights(origin),
            "numerics": source.numerics(),
            "reading": [f.name for kind in RECORDS for f in fields(kind)],
        }
    )


def request_fingerprint(model: str, request: Request, image_sha256: str) -> bytes:
    """Return the key of a request's answer.

    Args:
        model: The model's fingerprint.
        request: The request.
        image_sha256: Digest of the pixels as they are shown: of whatever the perturbation
            needs, they hold all that the model can see.
    """
    content = request.question.content if request.first is None else ()
    key = request.key
    decisive = [model, image_sha256, key.prompt, content, key.generation, key.labels]
    return bytes.fromhex(_digest(decisive))


def captured(request: Request) -> dict[str, Any]:
    """Return what is measured beside the answer; a cached answer with more will do."""
    options = {"options": list(request.options)} if request.options else {}
    return {**options, "inside": True} if request.representations else options


def folder_digest(folder: Path) -> str:
    """Digest the contents of all files in a folder, or of one file.

    Hidden files, which downloads leave, are left out. Size and time of a file do not tell
    whether it is the same, so every byte is read: on the machine that this was written on,
    about 1 GB a second and core.

    Raises:
        OSError: One of them cannot be read.
    """
    if folder.is_file():
        return _file_digest(folder)
    files = sorted(path for path in folder.rglob("*") if _counts(path.relative_to(folder)))
    files = [path for path in files if not path.is_dir()]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        digests = list(pool.map(_file_digest, files))
    names = [path.relative_to(folder).as_posix() for path in files]
    return _digest(list(zip(names, digests, strict=True)))


def _counts(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts)


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _weights(origin: probe.Origin) -> dict[str, str]:
    try:
        if origin.folder is not None:
            return {"files": folder_digest(origin.folder)}
    except OSError as error:
        raise UnknownWeights(f"its folder cannot be read ({error})") from error
    if origin.revision is None:
        raise UnknownWeights("its weights are from no folder and from no known commit of the hub")
    return {"hub": origin.name, "commit": origin.revision}


def _arguments(adapter: Any, given: Mapping[str, Any] | None, weights: str) -> dict[str, Any]:
    """Return the arguments that decide answers; of an adapter loaded before, its settings.

    An argument that names the weights is left out, since their digest is in the fingerprint;
    one that names another file or folder is replaced by the digest of what is in it.
    """
    if given is None:
        plain = (bool, int, float, str, type(None))
        given = {name: value for name, value in vars(adapter).items() if isinstance(value, plain)}
    return {
        name: _content(value)
        for name, value in sorted(given.items())
        if name.lstrip("_") not in LAYOUT and value != weights
    }


def _content(value: Any) -> Any:
    if isinstance(value, str) and os.path.exists(value):
        try:
            return {"files": folder_digest(Path(value))}
        except OSError as error:
            raise UnknownWeights(f"{value} cannot be read ({error})") from error
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
