"""Masks that are kept on disk and in memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageFile

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.masks import MaskStore
from vlm_confidence_tasks.masks.store import SUBFOLDER

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=30))
KEY = ("00" * 32, "red circle", "someone/1")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(masks)
def test_a_mask_comes_back_as_it_was(tmp_path: Path, mask: np.ndarray) -> None:
    for store, again in (
        (MaskStore(tmp_path), MaskStore(tmp_path)),
        (memory := MaskStore(), memory),
    ):
        store.add(*KEY, mask)
        found = again.find(*KEY)
        assert found.dtype == bool and np.array_equal(found, mask)


def test_image_phrase_and_provider_tell_masks_apart(tmp_path: Path) -> None:
    store, mask = MaskStore(tmp_path), np.ones((2, 3), bool)
    store.add(*KEY, mask)
    others = [("11" * 32, *KEY[1:]), (KEY[0], "circle", KEY[2]), (*KEY[:2], "someone/2")]
    for other in others:
        assert store.find(*other) is None
    assert MaskStore().find(*KEY) is None


def test_a_file_says_what_it_is_of_and_lies_beside_the_answers(tmp_path: Path) -> None:
    MaskStore(tmp_path).add(*KEY, np.ones((2, 3), bool))
    (file,) = (tmp_path / SUBFOLDER).rglob("*.png")
    assert Image.open(file).text == dict(zip(("image", "phrase", "provider"), KEY, strict=True))


def test_a_write_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*paths: object) -> None:
        raise OSError("disk full")

    store = MaskStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            store.add(*KEY, np.ones((2, 3), bool))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert store.find(*KEY) is None


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("kept", [b"", b"no image", None])
def test_a_damaged_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bytes | None, lenient: bool
) -> None:
    # The harness switches it on.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    store = MaskStore(tmp_path)
    store.add(*KEY, np.ones((20, 30), bool))
    (file,) = tmp_path.rglob("*.png")
    # None: the file is cut short.
    file.write_bytes(file.read_bytes()[:-30] if kept is None else kept)
    with pytest.raises(TaskError, match=f"masks: {file} is damaged .*: delete it") as caught:
        store.find(*KEY)
    assert "\n" not in str(caught.value)
