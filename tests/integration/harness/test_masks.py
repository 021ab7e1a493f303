"""Masks in evaluations: which documents have variants, which pixels change, what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from conftest import of_images, write_pope
from lmms_eval.models import get_model
from lmms_eval.tasks import TaskManager
from PIL import Image

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.evaluation.runner import Runner
from vlm_confidence_tasks.harness import document_masks, plan
from vlm_confidence_tasks.masks import phrases
from vlm_confidence_tasks.masks.sandbox import SandboxMasks
from vlm_confidence_tasks.masks.store import SUBFOLDER
from vlm_confidence_tasks.models.counting_adapter import counting
from vlm_confidence_tasks.perturbations.regions import moved
from vlm_confidence_tasks.sandbox import DATA_DIR

from .kept_runs import evaluate, reused, said

OBJECT = "perturbations: [{name: object_noise, confidence: [0.5, 0.1]}]"
TASKS = {
    "inside": OBJECT,
    "outside": "perturbations: [{name: object_noise, confidence: 0.5, where: outside}]",
    "anyway": f"{OBJECT}\non_missing: global",
    "resized": f"{OBJECT}\nmax_side: 32",
    "told": f"{OBJECT}\nmasks: sam",
    "boxed": f"{OBJECT}\nmasks: boxes:none.json",
    "spelled": "perturbations: [{name: gaussian_noise, epsilon: 0.1}]",
}
# Of these the first and third are for "yes"; the two about one image name different things.
ROWS = [0, 1, 2, 6]


@pytest.fixture
def four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path / "data", ROWS)))
    monkeypatch.setenv("VLM_CONFIDENCE_MASKS", "sandbox")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, int, str], np.ndarray]:
    """The pixels of every request that an adapter looked up, by task, document and variant."""
    seen = {}
    look_up = Runner.look_up

    def looked(self, task: str, index: int):
        request, images = look_up(self, task, index)
        key = (request.task.name, request.document, str(request.variant))
        seen[key] = np.asarray(images.images[0])
        return request, images

    monkeypatch.setattr(Runner, "look_up", looked)
    return seen


@pytest.fixture
def looked_for(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The phrases that the sandbox's provider was asked for."""
    asked = []
    mask = SandboxMasks.mask

    def counted(self, image, phrases, image_id=""):
        asked.append(tuple(phrases))
        return mask(self, image, phrases, image_id)

    monkeypatch.setattr(SandboxMasks, "mask", counted)
    return asked


def readouts(found: dict, task: str) -> list[list[dict]]:
    return [row["readouts"] for row in found["samples"][task]]


def test_only_documents_with_a_mask_have_variants_and_the_others_are_counted(
    manager: TaskManager, four: None
) -> None:
    with said() as lines:
        found = evaluate(manager, ["inside", "anyway"], limit=4)
    assert [len(each) for each in readouts(found, "inside")] == [3, 1, 3, 3]
    assert [len(each) for each in readouts(found, "anyway")] == [3, 3, 3, 3]
    numbers = found["results"]["inside"]
    assert numbers["mask_missing_rate,none"] == 1 / 4
    assert found["results"]["anyway"]["mask_missing_rate,none"] == 0
    # Answers are counted of the documents with variants alone.
    assert numbers["accuracy_clean,none"] in {0, 1 / 3, 2 / 3, 1}
    assert [line for line in lines if "no mask" in line] == [
        "task inside: 1 of 4 documents have no mask; their perturbed images are left out"
    ]
    assert found["configs"]["inside"]["masks"] == "sandbox/1, on_missing=skip"
    assert found["configs"]["anyway"]["masks"] == "sandbox/1, on_missing=global"


def test_pixels_change_on_what_the_question_names_beside_it_or_everywhere(
    manager: TaskManager, four: None, shown: dict
) -> None:
    evaluate(manager, ["inside", "outside", "anyway"], limit=4)
    provider = SandboxMasks()
    rows = parquet.read_table(DATA_DIR / "pope" / "test.parquet").to_pylist()
    questions = [rows[row]["question"] for row in ROWS]
    for document, row in enumerate(ROWS):
        same = {key: pixels for key, pixels in shown.items() if key[1] == document}
        clean = next(pixels for key, pixels in same.items() if key[2] == "clean")
        changed = {
            (task, variant): (pixels != clean).any(axis=-1)
            for (task, _, variant), pixels in same.items()
            if variant != "clean"
        }
        if rows[row]["answer"] == "no":
            assert {task for task, _ in changed} == {"anyway"}
            assert all(mask.mean() > 0.99 for mask in changed.values())
            continue
        tasks = {task for task, _ in changed}
        # The images of `anyway` and `inside` are the same, and asked about once at most each.
        assert "outside" in tasks and tasks & {"inside", "anyway"}
        mask = provider.mask(Image.fromarray(clean), phrases(questions[document]))
        for (task, _), pixels in changed.items():
            region = moved(mask) if task == "outside" else mask
            assert not (pixels & ~region).any()
            assert pixels[region].mean() > 0.9


def test_masks_are_kept_beside_the_answers_and_not_looked_for_again(
    manager: TaskManager, four: None, tmp_path: Path, looked_for: list
) -> None:
    cache = tmp_path / "cache"
    first = evaluate(manager, ["inside"], cache, limit=4)
    assert len(looked_for) == 4 and len(list((cache / SUBFOLDER).rglob("*.png"))) == 4
    with said() as lines:
        again = evaluate(manager, ["inside", "outside"], cache, limit=4)
    assert len(looked_for) == 4
    assert readouts(again, "inside") == readouts(first, "inside")
    assert "reused 10 of 13" in reused(lines)


def test_an_empty_mask_set_is_refused(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, [1, 3, 5])))
    monkeypatch.setenv("VLM_CONFIDENCE_MASKS", "sandbox")
    with pytest.raises(TaskError, match="task inside: the mask set is empty: sandbox/1.*any of 3"):
        evaluate(manager, ["inside"])
    evaluate(manager, ["anyway"])


def test_a_mask_set_is_empty_only_if_all_ranks_have_none(
    manager: TaskManager,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, [1, 3])))
    monkeypatch.setenv("VLM_CONFIDENCE_MASKS", "sandbox")

    def gather(own: object) -> list[object]:
        # The other rank's documents have masks; it has no answers.
        return [own, [True, True]] if isinstance(own, list) else [own]

    monkeypatch.setattr(document_masks.probe, "gather", gather)
    with said() as lines:
        evaluate(manager, ["inside"])
    assert "task inside: 2 of 4 documents have no mask" in " ".join(lines)


def test_sandbox_data_has_the_sandboxs_masks_and_other_data_a_model(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLM_CONFIDENCE_MASKS", raising=False)
    loaded = {}
    for source in ("sandbox", str(write_pope(tmp_path, ROWS))):
        monkeypatch.setenv("VLM_CONFIDENCE_DATA", source)
        (task,) = manager.load_task_or_group("inside").values()
        loaded[source == "sandbox"] = task.plan.masks
    assert loaded == {True: "sandbox", False: "grounding_dino+sam"}
    (plain,) = manager.load_task_or_group("spelled").values()
    assert plain.plan.masks is None and plain.masks is None


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("told", "task told: masks: unknown provider 'sam'; known: sandbox"),
        ("boxed", "masks: there is no file none.json: name one of COCO's format"),
        ("resized", "masks: the provider sandbox knows no such image of .32, 32."),
    ],
)
def test_what_cannot_be_used_ends_the_run_in_one_line(
    manager: TaskManager, four: None, task: str, said: str
) -> None:
    with pytest.raises(TaskError, match=said) as caught:
        evaluate(manager, [task])
    assert "\n" not in str(caught.value)


def test_a_document_whose_image_is_cut_short_is_left_to_the_run(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = of_images(lambda stored: stored[:-60], "3")
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, ROWS, cut)))
    monkeypatch.setenv("VLM_CONFIDENCE_MASKS", "sandbox")
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "1")
    (failed,) = evaluate(manager, ["inside"], limit=4)["failed"]
    assert "document 2 (question_id 3)" in failed["error"]
    assert "cannot make its image: OSError" in failed["error"]


def test_a_plan_looks_for_nothing_and_takes_all_documents_to_have_masks(
    manager: TaskManager, four: None, looked_for: list
) -> None:
    lm = counting(get_model("tiny_llava")).create_from_arg_string("", {"batch_size": 1})
    tasks = manager.load_task_or_group(["inside"])
    share = plan.plan(lm, tasks, 4)["inside"].numbers()
    assert share["answers"]["clean"] == 4 and share["answers"]["perturbed"] == 4 * 2
    assert share["at_most"] and looked_for == []
