"""Digests of everything that an answer and its measurements depend on: the cache's keys.

They do not contain what answers do not depend on: the task, the order, the batch size or the
number of processes.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.evaluation.request import Request

# Incremented when measurements or keys change without a change of a version or field below.
FORMAT = 5
# Packages whose code affects measurements; None as the version if not installed.
PACKAGES = (
    *("vlm_confidence_tasks", "lmms_eval", "torch", "torchvision", "transformers"),
    *("tokenizers", "pillow", "bitsandbytes"),
)
# The records that are cached; a changed field changes the fingerprint.
RECORDS = (probe.Reading, probe.LabelStep, probe.HiddenStates, probe.Served)
# Model arguments that do not change results, but for rounding.
LAYOUT = {
    *("shared_prefix", "max_packed_tokens"),
    *("batch_size", "batch_size_per_gpu", "max_batch_size"),
    *("device", "device_map", "rank", "world_size"),
    # Of serving engines: how they are reached, and how a model is split over devices.
    *("api_key", "timeout", "max_retries", "retry_backoff_s", "num_concurrent", "num_cpus"),
    *("tensor_parallel_size", "data_parallel_size", "gpu_memory_utilization", "max_num_seqs"),
}


# Pairs of a need and what its value depends on.
Identities = tuple[tuple[str, tuple[str, ...]], ...]


class UnknownWeights(ValueError):
    """A model's weights cannot be identified, so its answers cannot be cached."""


def model_fingerprint(
    adapter: Any, source: probe.LogitSource, arguments: Mapping[str, Any] | None
) -> str:
    """Return a digest of a model, its arguments, and the versions of the code that runs it.

    `arguments` are the adapter's; None if they are unknown.

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
    """Return the key of a request's answer, given the model's fingerprint.

    The digest of the shown pixels covers the perturbation and all that it needs.
    """
    content = request.question.content if request.first is None else ()
    key = request.key
    parts = [model, image_sha256, key.prompt, content, key.generation, key.labels]
    return bytes.fromhex(_digest(parts))


def images_fingerprint(model: str, request: Request, identities: Identities) -> bytes:
    """Return the key of the images that a perturbation made with the model's help.

    The model's fingerprint has the versions of all code that runs it. `identities` tell, for each
    need, what its value depends on besides image and provider. The number in the key is that of
    how stored images are decoded: 2, where those of more than 8 bits are scaled.
    """
    spec = request.key.image
    content = request.question.content
    parts = ["images 2", model, spec.source.hex(), spec.max_side, str(spec.variant), content]
    return bytes.fromhex(_digest([*parts, spec.providers, identities]))


def extra_measures(request: Request) -> dict[str, Any]:
    """Return what a request measures beside the answer; cached answers may have more."""
    options = {"options": list(request.options)} if request.options else {}
    return {**options, "inside": True} if request.representations else options


def _weights(origin: probe.Origin) -> dict[str, str]:
    try:
        if origin.folder is not None:
            return {"files": probe.folder_digest(origin.folder)}
    except OSError as error:
        raise UnknownWeights(f"its folder cannot be read ({error})") from error
    if origin.revision is None:
        raise UnknownWeights(
            "its weights are from no folder and from no known commit of the hub; of a model on a "
            "server, name the version in VLM_CONFIDENCE_MODEL_VERSION"
        )
    return {"hub": origin.name, "commit": origin.revision}


def _arguments(adapter: Any, given: Mapping[str, Any] | None, weights: str) -> dict[str, Any]:
    """Return the arguments that affect answers; if unknown, the adapter's plain attributes.

    The path of the weights is left out, since the fingerprint has their digest; the path of
    any other file or folder is replaced by the digest of its contents.
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
            return {"files": probe.folder_digest(Path(value))}
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
