"""Serialises answers: every number bit for bit, without pickle."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import astuple, fields
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.evaluation.request import Generation

Arrays = list[np.ndarray[Any, Any]]
_RECORDS = ("captured", probe.HiddenStates), ("label_step", probe.LabelStep)
# Floats compress poorly, so the fastest level is as good as the best.
_LEVEL = 1


def pack(generation: Generation, reading: probe.Reading | None) -> bytes:
    """Serialise an answer as deflated JSON, followed by the raw bytes of its arrays.

    An answer of 256 tokens takes about 3.5 kB. A Reading's fields may be numbers, text, None,
    arrays, tuples of these, LabelSteps and HiddenStates.

    Raises:
        TypeError: A field has another type.
    """
    arrays: Arrays = []
    numbers = None if reading is None else _fields(reading, arrays)
    counts = None if generation.token_counts is None else dict(generation.token_counts)
    parts = [generation.text, counts, numbers, astuple(generation.served)]
    line = json.dumps(parts, separators=(",", ":"))
    blob = b"".join(array.tobytes() for array in arrays)
    return zlib.compress(b"\n".join([line.encode(), blob]), _LEVEL)


def unpack(data: bytes) -> tuple[Generation, probe.Reading | None]:
    """Deserialise the output of `pack`."""
    line, _, blob = zlib.decompress(data).partition(b"\n")
    text, counts, numbers, served = json.loads(line)
    generation = Generation(text, counts, served=probe.Served(*served))
    if numbers is None:
        return generation, None
    reading = probe.Reading(**{name: _decode(value, blob) for name, value in numbers.items()})
    return generation, reading


def pack_images(images: Sequence[Image.Image]) -> bytes:
    """Serialise images without loss: the length of each PNG file, four bytes, and the file."""
    parts = []
    for image in images:
        file = BytesIO()
        image.save(file, "PNG", compress_level=_LEVEL)
        data = file.getvalue()
        parts.append(len(data).to_bytes(4, "big") + data)
    return b"".join(parts)


def unpack_images(data: bytes) -> list[Image.Image]:
    """Deserialise the output of `pack_images`."""
    images = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        with Image.open(BytesIO(data[4:end])) as stored:
            images.append(stored.convert("RGB"))
        data = data[end:]
    return images


def _fields(
    record: probe.Reading | probe.LabelStep | probe.HiddenStates, arrays: Arrays
) -> dict[str, Any]:
    return {f.name: _encode(getattr(record, f.name), arrays) for f in fields(record)}


def _encode(value: Any, arrays: Arrays) -> Any:
    if value is None or isinstance(value, (bool, int, str)) or type(value) is float:
        return value
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        start = sum(array.nbytes for array in arrays)
        arrays.append(np.ascontiguousarray(value))
        return {"array": [value.dtype.str, list(value.shape), start]}
    if isinstance(value, tuple) and value and all(_is_token(part) for part in value):
        return {"tokens": _encode(np.array(value, dtype="<i4"), arrays)}
    if isinstance(value, tuple):
        return [_encode(part, arrays) for part in value]
    if isinstance(value, probe.HiddenStates):
        return {"captured": _fields(value, arrays)}
    if isinstance(value, probe.LabelStep):
        return {"label_step": _fields(value, arrays)}
    raise TypeError(f"a Reading holds a {type(value).__name__}, which cannot be serialised")


def _is_token(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _decode(value: Any, blob: bytes) -> Any:
    if isinstance(value, list):
        return tuple(_decode(part, blob) for part in value)
    if not isinstance(value, dict):
        return value
    for kind, make in _RECORDS:
        if kind in value:
            return make(**{key: _decode(part, blob) for key, part in value[kind].items()})
    if "tokens" in value:
        return tuple(_decode(value["tokens"], blob).tolist())
    name, shape, start = value["array"]
    dtype = np.dtype(name)
    flat = np.frombuffer(blob, dtype, int(np.prod(shape, dtype=int)), start)
    # A copy, since an array on `blob` would be read-only and keep all of it in memory.
    array = flat.reshape(shape).copy()
    return array if shape else array[()]
