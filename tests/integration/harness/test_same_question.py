"""The same question about other images as a control, on the embedded model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_near, of_images, resized, write_pope
from scipy.spatial.distance import cosine

from .conftest import again
from .kept_runs import evaluate, reused, said
from .watched_model import Watched

NOISE = "perturbations: [{name: gaussian_noise, epsilon: 0.3}]"
INSIDE = f"{NOISE}\nrepresentations: true"
SAME = f"{INSIDE}\ncontrol: same_question"
TASKS = {
    "inside": INSIDE,
    "same": SAME,
    "lenient": f"{SAME}\nmax_failures: 11",
    "strict": SAME,
    "exam": f"{SAME}\nbenchmark: mmmu\ntest_split: validation",
    "doubtful": f"{SAME}\nverbal: third",
}
CHANNELS = ("context", "answer", "vision")
# Each of another image and with another question.
FIVE = [0, 41, 82, 123, 164]
TWELVE = [13 * n for n in range(12)]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A function that makes rows of the sandbox's POPE the data of the next runs."""
    made = iter(range(99))

    def show(rows: Sequence[int], change=dict) -> None:
        folder = tmp_path / f"data{next(made)}"
        monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(folder, rows, change)))

    return show


def insides(found: dict, task: str = "same") -> dict[str, list[dict]]:
    """The records of each measured document, clean first, by image and question."""
    return {
        f"{row['image_sha256']} {row['question_id']}": [one["inside"] for one in row["readouts"]]
        for row in found["samples"][task]
        if row["readouts"]
    }


def controls(found: dict, task: str = "same") -> dict[str, dict[str, float]]:
    return {name: clean["control_same"] for name, (clean, *_) in insides(found, task).items()}


def test_controls_equal_those_of_independently_computed_states(
    manager, shown, tmp_path: Path
) -> None:
    # The last image is of another size.
    shown(FIVE, of_images(lambda stored: resized(stored, 48, 40), "165"))
    watched = Watched()
    found = evaluate(manager, ["same"], model=watched.lm, limit=None)
    # Five clean, five perturbed, five blank, and each question about the four other images:
    # these have no blank images, although the last has another size than the questions' own.
    assert len(watched.calls) == 3 * 5 + 4 * 5
    clean = watched.calls[:5]
    with_others = [[watched.states(text, image) for image in clean] for text in clean]
    rows = sorted(found["samples"]["same"], key=lambda row: row["doc_id"])
    expected = {name: [] for name in CHANNELS}
    for own, row in enumerate(rows):
        first, variant = (one["inside"] for one in row["readouts"])
        assert "control_same" not in variant
        for channel in CHANNELS:
            pairs = [(with_others[own][own], other) for other in with_others[own]]
            drifts = [cosine(one[channel], other[channel]) for one, other in pairs]
            expected[channel].append(sum(drifts) / 4)
            assert first["control_same"][channel] == pytest.approx(expected[channel][-1], abs=1e-3)
    results = found["results"]["same"]
    moved = [row["readouts"][1]["inside"]["drift"]["context"] for row in rows]
    other = expected["context"]
    spread = math.sqrt((np.var(moved, ddof=1) + np.var(other, ddof=1)) / 2)
    near = {
        "drift_control_same_context": np.mean(other),
        "drift_ratio_same_context": np.mean(moved) / np.mean(other),
        "drift_d_same_context": (np.mean(moved) - np.mean(other)) / spread,
        "drift_control_same_vision": np.mean(expected["vision"]),
    }
    for name, value in near.items():
        assert results[f"{name},none"] == pytest.approx(value, abs=2e-3, rel=2e-2), name
    # And the samples give the numbers again.
    made = again(found, "same", tmp_path)
    for name in near:
        assert made[name] == pytest.approx(results[f"{name},none"], rel=1e-12), name
    # The vision tokens know no question: there the two controls are one.
    for clean_record, _ in insides(found).values():
        vision = (clean_record[key]["vision"] for key in ("control", "control_same"))
        assert next(vision) == pytest.approx(next(vision), abs=1e-5)
    # In the context the question counts, so that one is not taken for the other above.
    apart = [
        abs(clean["control"]["context"] - clean["control_same"]["context"])
        for clean, _ in insides(found).values()
    ]
    assert max(apart) > 0.02


def test_what_documents_ask_themselves_is_not_asked_again(manager, shown) -> None:
    question = "Is there a red circle in the image?"
    shown(FIVE, lambda row: {**row, "question": question})
    watched = Watched()
    found = evaluate(manager, ["same"], model=watched.lm, limit=None)
    assert len(watched.calls) == 2 * 5 + 1
    for clean, _ in insides(found).values():
        assert clean["control_same"] == pytest.approx(clean["control"], abs=1e-6)


def test_tasks_that_do_not_ask_for_it_have_nothing_of_it(manager, shown) -> None:
    shown(FIVE)
    watched = Watched()
    found = evaluate(manager, ["inside"], model=watched.lm, limit=None)
    assert len(watched.calls) == 3 * 5
    assert not any("_same_" in name for name in found["results"]["inside"])
    assert not any(
        "control_same" in one for records in insides(found, "inside").values() for one in records
    )
    assert found["configs"]["inside"]["control"] is None
    beside = evaluate(manager, ["inside", "same"], limit=None)
    # One shares prefixes and the other calls generate() for each: rounding differs.
    assert_near(insides(beside, "inside"), insides(found, "inside"))
    assert beside["configs"]["same"]["control"] == "same_question"


def test_nothing_but_the_data_decides_them(manager, shown) -> None:
    shown(TWELVE)
    found = evaluate(manager, ["same"], limit=None)
    whole = controls(found)
    assert len(whole) == 12
    few = controls(evaluate(manager, ["same"], limit=3))
    assert len(few) == 3
    for name, drifts in few.items():
        assert drifts == pytest.approx(whole[name], abs=1e-5)
    batched = controls(evaluate(manager, ["same"], limit=None, batch_size=5))
    for name, drifts in whole.items():
        assert batched[name] == pytest.approx(drifts, abs=1e-5)
    shown(sorted(TWELVE, key=lambda row: row * 7919 % 541))
    shuffled = evaluate(manager, ["same"], limit=None)
    assert list(controls(shuffled)) != list(whole) and controls(shuffled) == whole
    for name, value in found["results"]["same"].items():
        if "_same_" in name and "stderr" not in name:
            assert shuffled["results"]["same"][name] == pytest.approx(value, abs=1e-9), name


def test_they_are_cached_and_go_with_second_turns(manager, shown, tmp_path: Path) -> None:
    shown(FIVE)
    first = evaluate(manager, ["same"], tmp_path, limit=None)
    with said() as lines:
        again = evaluate(manager, ["same"], tmp_path, limit=None)
    assert reused(lines).startswith("reused 35 of 35")
    assert insides(again) == insides(first)
    # Second turns have indices of their own beside those of the controls, and controls none.
    doubtful = evaluate(manager, ["doubtful"], limit=None)
    assert controls(doubtful, "doubtful") == controls(first)
    rows = doubtful["samples"]["doubtful"]
    assert all("verbal_text" in one for row in rows for one in row["readouts"])


def test_a_control_that_fails_fails_the_documents_that_need_it(manager, shown) -> None:
    shown(TWELVE, of_images(lambda stored: stored[:300], "14"))
    found = evaluate(manager, ["lenient"], limit=None)
    failed = {entry["document"]: entry["error"] for entry in found["failed"]}
    assert "images of document" not in failed.pop(1)
    assert 0 < len(failed) < 11
    assert all(
        "clean, images of document 1: cannot make its image" in one for one in failed.values()
    )
    assert len(insides(found, "lenient")) == 11 - len(failed)
    with pytest.raises(Exception, match="document 1 .*cannot make its image"):
        evaluate(manager, ["strict"], limit=None)


def test_questions_about_several_images_are_asked_about_as_many_others(
    manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", "sandbox")
    watched = Watched()
    found = evaluate(manager, ["exam"], model=watched.lm)
    pictures = [len(call["pixel_values"]) for call in watched.calls]
    own, others = pictures[:3], pictures[-12:]
    assert max(own) > 1 and sorted(others) == sorted(own * 4)
    for drifts in controls(found, "exam").values():
        assert set(drifts) == set(CHANNELS) and min(drifts.values()) > 0
