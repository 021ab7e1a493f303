"""Digests of a model's files."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def folder_digest(folder: Path) -> str:
    """Digest the contents of all files in a folder, or of one file.

    Hidden files, which downloads create, are left out. Every byte is read, since a file can
    change without a new size or time: about 1 GB per second and core.

    Raises:
        OSError: One of them cannot be read.
    """
    if folder.is_file():
        return _file_digest(folder)
    files = sorted(path for path in folder.rglob("*") if not _is_hidden(path.relative_to(folder)))
    files = [path for path in files if not path.is_dir()]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        digests = list(pool.map(_file_digest, files))
    names = [path.relative_to(folder).as_posix() for path in files]
    text = json.dumps(list(zip(names, digests, strict=True)), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
