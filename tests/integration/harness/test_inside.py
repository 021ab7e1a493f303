"""Representations in an evaluation in this process, on the embedded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import of_images, resized, write_pope
from lmms_eval.tasks import TaskManager
from scipy.spatial.distance import cosine

from vlm_confidence_tasks.benchmarks import dataset as data
from vlm_confidence_tasks.metrics import band_powers, metrics_for

from .kept_runs import evaluate
from .watched_model import Watched

QUESTION = "Is there a red circle in the image?"


@pytest.fixture(scope="module")
def four_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same question about four images, the last of them of another size."""
    smaller = of_images(lambda stored: resized(stored, 48, 40), "121")
    folder = tmp_path_factory.mktemp("four")
    return write_pope(folder, [0, 40, 80, 120], lambda row: smaller(row) | {"question": QUESTION})


@pytest.fixture(scope="module")
def run(manager: TaskManager, four_images: Path):
    """An evaluation of pope_drift: what it found, and the states that are found apart from it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLM_CONFIDENCE_DATA", str(four_images))
        patch.setenv("VLM_CONFIDENCE_METRICS", "all")
        watched = Watched()
        found = evaluate(manager, ["pope_drift"], model=watched.lm, limit=None)
    # Four clean, four strengths of each, and one blank of each of two sizes.
    assert len(watched.calls) == 4 + 4 * 4 + 2
    return found, [watched.states(call, call) for call in watched.calls]


def insides(found: dict) -> list[dict]:
    rows = sorted(found["samples"]["pope_drift"], key=lambda row: row["doc_id"])
    return [record["inside"] for row in rows for record in row["readouts"]]


def test_drifts_equal_those_of_independently_computed_states(run) -> None:
    found, states = run
    clean, blanks = states[:4], states[-2:]
    # After the clean images, all strengths of each image in turn.
    variants = [states[4 + 4 * image : 8 + 4 * image] for image in range(4)]
    records = insides(found)
    for image in range(4):
        first, *rest = records[5 * image : 5 * image + 5]
        blank = blanks[0 if image < 3 else 1]["context"]
        assert first["drift"] == first["distance"] == {}
        assert first["prior_drift"] == pytest.approx(
            cosine(clean[image]["context"], blank), abs=1e-3
        )
        for channel in ("context", "answer", "vision"):
            others = [
                cosine(clean[image][channel], clean[j][channel]) for j in range(4) if j != image
            ]
            assert first["control"][channel] == pytest.approx(np.mean(others), abs=1e-3)
        for record, moved in zip(rest, variants[image], strict=True):
            assert record["control"] == {}
            for channel in ("context", "answer", "vision"):
                pair = clean[image][channel], moved[channel]
                assert record["drift"][channel] == pytest.approx(cosine(*pair), abs=1e-5)
                distance = np.linalg.norm(pair[0] - pair[1])
                assert record["distance"][channel] == pytest.approx(distance, abs=1e-3)
            near = cosine(moved["context"], blank)
            assert record["prior_drift"] == pytest.approx(near, abs=1e-3)


def test_spectra_equal_those_of_the_images_shown(run, four_images: Path) -> None:
    found, _ = run
    rows = data.datasets.Dataset.from_parquet(str(next(four_images.rglob("*.parquet"))))
    for image, first in zip(rows["image"], insides(found)[::5], strict=True):
        powers = band_powers(np.asarray(image.convert("RGB")) / 255)
        assert first["spectrum"] == pytest.approx(powers)
    low = [record["spectrum"]["high"] for record in insides(found)[:5]]
    assert low == sorted(low), "noise adds fine detail, and more of it with its strength"


def test_probabilities_on_the_blank_image_are_in_the_clean_readout(run) -> None:
    found, _ = run
    records = insides(found)
    assert all((record["prior_probs"] is None) == bool(record["drift"]) for record in records)
    assert sum(records[0]["prior_probs"].values()) == pytest.approx(1)
    assert records[0]["prior_probs"] == records[5]["prior_probs"]
    # Of the blank image, not of the image itself.
    (row, *_) = sorted(found["samples"]["pope_drift"], key=lambda row: row["doc_id"])
    assert records[0]["prior_probs"] != row["readouts"][0]["probs"]


def test_other_tasks_of_the_run_record_no_hidden_states(
    run, manager: TaskManager, four_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(four_images))
    monkeypatch.setenv("VLM_CONFIDENCE_METRICS", "all")
    found = evaluate(manager, ["pope_eps0.1", "pope_drift"], limit=2)
    assert all(
        "inside" not in record
        for row in found["samples"]["pope_eps0.1"]
        for record in row["readouts"]
    )
    beside = {key.split(",")[0] for key in found["results"]["pope_eps0.1"]}
    own = {key.split(",")[0] for key in found["results"]["pope_drift"]}
    metrics = metrics_for(())
    assert not any(metrics[name].requires for name in beside & metrics.keys())
    assert {"drift_context", "drift_control_vision", "stability_answer", "dirichlet_delta"} < own
    # Shared requests are captured for the task that needs it, whichever comes first.
    for record, alone in zip(insides(found), insides(run[0])[:10], strict=True):
        assert record["drift"] == pytest.approx(alone["drift"], abs=1e-9)
