"""Images made again from the data set, or left out with the reason."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.report.inputs.stored_images import stored_images
from vlm_confidence_tasks.report.leaderboard.flip_images import FlipImages, make_flip_images
from vlm_confidence_tasks.sandbox import DATA_DIR, data_folder
from vlm_confidence_tasks.types import Variant

NOISE = Variant("gaussian_noise", (("epsilon", 0.3),))
OVERLAY = Variant("text_overlay", (("content", "semantic"), ("index", 0)))


@pytest.fixture(scope="module")
def document() -> dict:
    return datasets.Dataset.from_parquet(str(DATA_DIR / "pope" / "test.parquet"))[7]


def flip(document: dict, variant: Variant, perturbed: Image.Image, **changes: object) -> dict:
    clean = document["image"].convert("RGB")
    return {
        "task": "t",
        "question_id": str(document["question_id"]),
        "image_sha256": perturbations.images_digest([clean]),
        "labels": ["Yes", "No"],
        "clean": {"answer": "Yes"},
        "perturbed": {
            "image_sha256": perturbations.images_digest([perturbed]),
            "perturbation": variant.perturbation,
            "parameters": dict(variant.parameters),
            "seed": 0,
        },
    } | changes


def leaderboard(held: dict, data: dict | None = None, side: int | None = None) -> dict:
    entry = {"model": "m", "task": "t", "column": "t", "benchmark": "pope", "data": data}
    return {
        "entries": [entry],
        "columns": [{"id": "t", "max_side": side}],
        "flips": {"m": [held]},
    }


def decoded(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


@pytest.mark.parametrize("variant", [NOISE, OVERLAY])
def test_pictures_are_pixel_for_pixel_what_the_model_saw(document: dict, variant: Variant) -> None:
    clean = document["image"].convert("RGB")
    phrase = "Answer is No"
    given = {"clean_answer": phrase} if variant is OVERLAY else {}
    perturbed = perturbations.apply(clean, variant, given=given)
    (shown,) = make_flip_images(leaderboard(flip(document, variant, perturbed)), "m", DATA_DIR)
    assert shown.note == ""
    assert np.array_equal(decoded(shown.clean[0]), np.asarray(clean))
    assert np.array_equal(decoded(shown.perturbed[0]), np.asarray(perturbed))


def test_the_longest_side_of_the_task_is_kept(document: dict) -> None:
    small = perturbations.fit(document["image"].convert("RGB"), 32)
    held = flip(document, NOISE, perturbations.apply(small, NOISE))
    held["image_sha256"] = perturbations.images_digest([small])
    (shown,) = make_flip_images(leaderboard(held, side=32), "m", DATA_DIR)
    assert decoded(shown.perturbed[0]).shape[:2] == small.size[::-1]


def test_another_perturbed_image_is_left_out_with_a_note(document: dict) -> None:
    other = perturbations.perturb(document["image"].convert("RGB"), "gaussian_noise", epsilon=0.1)
    (shown,) = make_flip_images(leaderboard(flip(document, NOISE, other)), "m", DATA_DIR)
    assert shown.clean and not shown.perturbed
    assert "not the one that the model saw" in shown.note


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"question_id": "none"}, "no such document"), ({"image_sha256": "0"}, "no such document")],
)
def test_a_document_that_is_not_there_is_left_out(document: dict, changes, said: str) -> None:
    held = flip(document, NOISE, document["image"].convert("RGB"), **changes)
    (shown,) = make_flip_images(leaderboard(held), "m", DATA_DIR)
    assert not shown.clean and said in shown.note


def test_absent_data_is_a_note(document: dict, tmp_path: Path) -> None:
    held = flip(document, NOISE, document["image"].convert("RGB"))
    (shown,) = make_flip_images(leaderboard(held), "m", None)
    assert shown == FlipImages(
        note="images left out: the data set is not here; name its folder with --data"
    )
    (shown,) = make_flip_images(leaderboard(held), "m", tmp_path)
    assert shown.note == f"images left out: no parquet file in {tmp_path / 'pope'}"


def test_the_runs_own_data_are_used_if_they_are_there(document: dict) -> None:
    image = document["image"].convert("RGB")
    held = flip(document, NOISE, perturbations.apply(image, NOISE))
    for source in ("sandbox", str(DATA_DIR)):
        (shown,) = make_flip_images(leaderboard(held, data={"source": source}), "m", None)
        assert shown.perturbed and not shown.note
    (shown,) = make_flip_images(leaderboard(held, data={"source": "lmms-lab/POPE"}), "m", None)
    assert shown.note


def test_lists_of_images_come_in_order() -> None:
    rows = datasets.Dataset.from_parquet(str(DATA_DIR / "mmmu" / "validation.parquet"))
    row = next(row for row in rows if row["image_2"] is not None)
    (images,) = stored_images(DATA_DIR, "mmmu", str(row["id"]))
    assert len(images) >= 2
    assert np.array_equal(np.asarray(images[1]), np.asarray(row["image_2"].convert("RGB")))


def test_images_whose_type_was_not_written_down_are_turned_as_the_run_turned_them(
    document: dict, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[Image.ExifTags.Base.Orientation] = 6
    file = io.BytesIO()
    document["image"].convert("RGB").crop((0, 0, 64, 32)).save(file, "PNG", exif=exif)
    row = document | {"image": {"bytes": file.getvalue(), "path": None}}
    (tmp_path / "pope").mkdir()
    datasets.Dataset.from_list([row]).to_parquet(tmp_path / "pope" / "test.parquet")
    ((image,),) = stored_images(tmp_path, "pope", str(document["question_id"]))
    assert image.size == (32, 64)


def test_files_of_other_benchmarks_in_the_folder_are_passed_over(
    document: dict, tmp_path: Path
) -> None:
    (tmp_path / "pope").mkdir()
    datasets.Dataset.from_dict({"a": [1]}).to_parquet(tmp_path / "pope" / "another.parquet")
    datasets.Dataset.from_list([document]).to_parquet(tmp_path / "pope" / "test.parquet")
    assert len(list(stored_images(tmp_path, "pope", str(document["question_id"])))) == 1
    assert not list(stored_images(tmp_path, "pope", "none"))


def test_the_folder_comes_from_the_option_then_the_variable(monkeypatch) -> None:
    monkeypatch.delenv("VLM_CONFIDENCE_DATA", raising=False)
    assert data_folder(None) is None
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", "/data")
    assert data_folder(None) == Path("/data")
    assert data_folder("sandbox") == DATA_DIR


def test_a_report_without_pictures_does_not_import_datasets() -> None:
    imports = "import sys, vlm_confidence_tasks.report.formats.files"
    program = f"{imports}; print('datasets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n"
