"""Documents that fail where failures are allowed are reported by each task that needs them."""

from __future__ import annotations

import io
import struct
import zlib
from functools import partial
from pathlib import Path

import pytest
from conftest import write_pope
from lmms_eval.tasks import TaskManager
from PIL import Image

from vlm_confidence_tasks.errors import MeasurementError
from vlm_confidence_tasks.evaluation import images, schedule

from .kept_runs import evaluate


def damaged_png(stored: bytes) -> bytes:
    """Write an image as a PNG whose second chunk of pixels has lost its name."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    image = Image.open(io.BytesIO(stored)).convert("RGB")
    width, height = image.size
    pixels = image.tobytes()
    lines = [pixels[start : start + 3 * width] for start in range(0, len(pixels), 3 * width)]
    packed = zlib.compress(b"".join(b"\0" + line for line in lines))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    first, second = packed[: len(packed) // 2], packed[len(packed) // 2 :]
    parts = ((b"IHDR", header), (b"IDAT", first), (b"\0\0\0\0", second), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


# Overlays wait for the clean answer, second turns for the first: here there is none.
@pytest.mark.parametrize("task", ["pope_eps0.3", "pope_textoverlay", "pope_verbal3"])
def test_an_image_that_its_decoder_has_no_oserror_for(
    manager: TaskManager, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(row: dict) -> dict:
        if row["question_id"] != "24":
            return row
        return row | {"image": {**row["image"], "bytes": damaged_png(row["image"]["bytes"])}}

    data = write_pope(tmp_path / "data", [0, 23], damage)
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(data))
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "1")
    # The second run makes the image to look for its answer, before the adapter is called.
    for _ in range(2):
        found = evaluate(manager, [task], tmp_path / "cache")
        (failed,) = found["failed"]
        assert "document 1 (question_id 24)" in failed["error"]
        assert "cannot make its image: SyntaxError: broken PNG" in failed["error"]


def test_an_image_too_small_for_an_overlay(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shrink(row: dict) -> dict:
        if row["question_id"] != "24":
            return row
        file = io.BytesIO()
        Image.open(io.BytesIO(row["image"]["bytes"])).resize((32, 32)).save(file, "PNG")
        return row | {"image": {**row["image"], "bytes": file.getvalue()}}

    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, [0, 23, 46], shrink)))
    task = "pope_textoverlay"
    expected = (
        "task pope_textoverlay, document 1 (question_id 24), variant "
        "text_overlay(content=semantic, index=0, seed=0): cannot make its image: ValueError: "
        "text_overlay: the box of 'Answer is "
    )
    with pytest.raises(MeasurementError) as caught:
        evaluate(manager, [task])
    assert str(caught.value).startswith(expected)
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "1")
    found = evaluate(manager, [task])
    (failed,) = found["failed"]
    assert failed["error"].startswith(expected)
    assert [len(row["readouts"]) for row in found["samples"][task]] == [2, 0, 2]


def test_each_task_reports_a_failure_with_the_same_message_each_time(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(row: dict) -> dict:
        if row["question_id"] != "24":
            return row
        return row | {"image": {"bytes": b"not an image", "path": None}}

    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, [0, 23], spoil)))
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "1")
    failed = evaluate(manager, ["pope_eps0.3", "pope_verbal3"])["failed"]
    assert [one["error"].split(",")[0] for one in failed] == [
        "task pope_eps0.3",
        "task pope_verbal3",
    ]
    assert all("UnidentifiedImageError" in one["error"] for one in failed)
    assert not any("0x" in one["error"] for one in failed)


def test_a_blank_image_that_fails_in_one_block_fails_in_the_next(
    manager: TaskManager, few_questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unmade(variant: object) -> list[Image.Image]:
        raise OSError("no blank")

    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))
    monkeypatch.setattr(images, "blank_images", unmade)
    monkeypatch.setattr(schedule, "blocks", partial(schedule.blocks, limit=1))
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "3")
    found = evaluate(manager, ["caption_drift"])
    assert [failed["document"] for failed in found["failed"]] == [0, 1, 2]
    assert all("variant blank" in failed["error"] for failed in found["failed"])


def test_a_blank_image_that_fails_is_told_by_the_tasks_that_need_it(
    manager: TaskManager, few_questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unmade(variant: object) -> list[Image.Image]:
        raise OSError("no blank")

    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))
    monkeypatch.setattr(images, "blank_images", unmade)
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "3")
    found = evaluate(manager, ["caption_drift", "caption_eps0.3"])
    assert {failed["task"] for failed in found["failed"]} == {"caption_drift"}
    assert all(len(row["readouts"]) == 2 for row in found["samples"]["caption_eps0.3"])
