"""Documents that fail where failures are allowed are reported by each task that needs them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from conftest import of_images, resized, write_pope
from lmms_eval.tasks import TaskManager
from PIL import Image

from vlm_confidence_tasks.errors import MeasurementError
from vlm_confidence_tasks.evaluation import images, schedule

from .kept_runs import evaluate


def without_a_chunks_name(stored: bytes) -> bytes:
    """Return the image as a PNG of several chunks, of which the last has lost its name."""
    whole = resized(stored, 200, 200, compress_level=0)
    assert whole.count(b"IDAT") > 1
    place = whole.rindex(b"IDAT")
    return whole[:place] + bytes(4) + whole[place + 4 :]


# Overlays wait for the clean answer, second turns for the first: here there is none.
@pytest.mark.parametrize("task", ["pope_eps0.3", "pope_textoverlay", "pope_verbal3"])
def test_an_image_that_its_decoder_has_no_oserror_for(
    manager: TaskManager, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_pope(tmp_path / "data", [0, 23], of_images(without_a_chunks_name, "24"))
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
    small = of_images(lambda stored: resized(stored, 32, 32), "24")
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, [0, 23, 46], small)))
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
    none = of_images(lambda stored: b"not an image", "24")
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, [0, 23], none)))
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "1")
    failed = evaluate(manager, ["pope_eps0.3", "pope_verbal3"])["failed"]
    assert [one["error"].split(",")[0] for one in failed] == [
        "task pope_eps0.3",
        "task pope_verbal3",
    ]
    assert all("UnidentifiedImageError" in one["error"] for one in failed)
    assert not any("0x" in one["error"] for one in failed)


def test_a_blank_image_that_fails_is_told_of_every_document_of_the_tasks_that_need_it(
    manager: TaskManager, few_questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unmade(variant: object) -> list[Image.Image]:
        raise OSError("no blank")

    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))
    monkeypatch.setattr(images, "blank_images", unmade)
    # A document a block.
    monkeypatch.setattr(schedule, "blocks", partial(schedule.blocks, limit=1))
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "3")
    found = evaluate(manager, ["caption_drift", "caption_eps0.3"])
    assert [(failed["task"], failed["document"]) for failed in found["failed"]] == [
        ("caption_drift", n) for n in range(3)
    ]
    assert all("variant blank" in failed["error"] for failed in found["failed"])
    assert all(len(row["readouts"]) == 2 for row in found["samples"]["caption_eps0.3"])
