"""Masks that were made before, in files or in memory."""

import hashlib
import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vlm_confidence_tasks.errors import TaskError, one_line
from vlm_confidence_tasks.masks.mask_provider import Mask

SUBFOLDER = "vlm_confidence_masks"
# Checked here, since the harness tells Pillow to fill up files that are cut short.
_PNG_END = b"IEND\xaeB`\x82"


class MaskStore:
    """Masks by image, phrase and provider: PNG files of one bit a pixel, or the same in memory.

    A mask that is nowhere true says that nothing was found.
    """

    def __init__(self, root: Path | None = None) -> None:
        """Keep masks in a subfolder of the response cache's folder; None: in memory."""
        self._folder = None if root is None else root / SUBFOLDER
        self._memory: dict[str, bytes] = {}

    def find(self, digest: str, phrase: str, provider: str) -> Mask | None:
        """Return the mask [H, W] that was kept of image, phrase and provider, None if none was."""
        key = _key(digest, phrase, provider)
        packed, path = self._memory.get(key), self._path(key)
        if path is not None and path.exists():
            packed = path.read_bytes()
        if packed is None:
            return None
        try:
            if not packed.endswith(_PNG_END):
                raise OSError("its end is missing")
            return np.asarray(Image.open(io.BytesIO(packed)), dtype=np.bool_)
        except (OSError, SyntaxError, ValueError) as error:
            raise TaskError(f"masks: {path} is damaged ({one_line(error)}): delete it") from error

    def add(self, digest: str, phrase: str, provider: str, mask: Mask) -> None:
        """Keep a mask; a file appears complete or not at all."""
        key, note = _key(digest, phrase, provider), PngInfo()
        for name, text in (("image", digest), ("phrase", phrase), ("provider", provider)):
            note.add_itxt(name, text)
        buffer = io.BytesIO()
        Image.fromarray(mask).save(buffer, "PNG", pnginfo=note)
        path = self._path(key)
        if path is None:
            self._memory[key] = buffer.getvalue()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(buffer.getvalue())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    def _path(self, key: str) -> Path | None:
        return None if self._folder is None else self._folder / key[:2] / f"{key}.png"


def _key(digest: str, phrase: str, provider: str) -> str:
    return hashlib.sha256(json.dumps([digest, phrase, provider]).encode()).hexdigest()
