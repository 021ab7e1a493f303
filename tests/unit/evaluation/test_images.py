"""Images that could not be made, and are asked for again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PIL import Image

from vlm_confidence_tasks.evaluation.images import ImageJob, Images
from vlm_confidence_tasks.evaluation.request import ImageSpec
from vlm_confidence_tasks.types import CLEAN


def test_what_failed_is_made_anew_once_it_is_forgotten() -> None:
    calls = []

    def stored(document: int) -> list[Image.Image]:
        calls.append(document)
        if len(calls) == 1:
            raise RuntimeError("out of memory")
        return [Image.new("RGB", (2, 2))]

    job = ImageJob(ImageSpec(b"a", None, CLEAN), (), SimpleNamespace(images=stored), 0, {})
    images = Images()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="out of memory"):
            images.prepare(job).result()
    images.forget_failed()
    assert len(images.prepare(job).result().images) == 1
    images.forget_failed()
    images.prepare(job).result()
    assert calls == [0, 0]
    images.close()
