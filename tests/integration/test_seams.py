"""Each seam with an implementation that the package does not have, through the real harness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from harness.conftest import load
from harness.kept_runs import evaluate as evaluate_tasks
from harness.kept_runs import write_tasks
from lmms_eval.models.chat.llava_hf import LlavaHf
from lmms_eval.tasks import TaskManager
from numpy.typing import NDArray
from PIL import Image

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.errors import MeasurementError, TaskError
from vlm_confidence_tasks.harness import task as task_module
from vlm_confidence_tasks.perturbations import registry
from vlm_confidence_tasks.sandbox import MODEL_DIR

DARK = "perturbations: [{name: toy_darken}]"
ASCENT = "perturbations: [{name: toy_ascent, epsilon: 0.1}]"
TASKS = {
    "noisy": "perturbations: [{name: gaussian_noise, epsilon: 0.5}]",
    "darkened": f"class: !function seam_tasks.LeftMasked\n{DARK}",
    "darkened_right": f"class: !function seam_tasks.RightMasked\n{DARK}",
    "ascending": f"class: !function seam_tasks.LeftMasked\n{ASCENT}",
    "unprovided": ASCENT,
    "darkened_things": f"{DARK}\nmasks: sandbox",
}


class HalfMasks:
    """Says that what a question names is in one half of the image."""

    def __init__(self, left: bool) -> None:
        self.name = f"half masks, left={left}"
        self.left = left

    def __call__(self, request, image: Image.Image, source):
        mask = np.zeros((image.height, image.width), dtype=bool)
        half = image.width // 2
        mask[:, slice(None, half) if self.left else slice(half, None)] = True
        return {"thing": mask}


class TowerGradient:
    """The gradient, in pixels, of the energy of the vision tower's output."""

    name = "energy of the vision tower/1"

    def __call__(self, request, image: Image.Image, source):
        tower = source.model.model.vision_tower
        side = tower.config.image_size

        def gradient(shown: Image.Image) -> NDArray[np.float32]:
            pixels = torch.tensor(np.asarray(shown) / 255.0, dtype=torch.float32)
            pixels = pixels.permute(2, 0, 1)[None].requires_grad_()
            sized = torch.nn.functional.interpolate(pixels, (side, side))
            energy = tower(sized).last_hidden_state.square().mean()
            (found,) = torch.autograd.grad(energy, pixels)
            return found[0].permute(1, 2, 0).contiguous().numpy()

        return gradient


class LeftMasked(task_module.PerturbedTask):
    providers = {"masks": HalfMasks(left=True), "gradient": TowerGradient()}


class RightMasked(task_module.PerturbedTask):
    providers = {"masks": HalfMasks(left=False)}


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> TaskManager:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "seam_tasks.py").write_text(
        f"from {__name__} import LeftMasked, RightMasked  # noqa: F401\n"
    )
    return TaskManager("WARNING", include_path=write_tasks(folder, **TASKS))


@pytest.fixture
def evaluate(
    manager: TaskManager, few_questions: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict]:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))

    def run(*tasks: str, **options) -> dict:
        return evaluate_tasks(manager, list(tasks), limit=4, **options)

    return run


@pytest.fixture
def toys() -> Iterator[None]:
    @perturbations.register("toy_darken", family="toy_masks", needs={"masks"})
    def toy_darken(image: Image.Image, masks) -> Image.Image:
        pixels = np.array(image)
        for mask in masks.values():
            pixels[mask] //= 2
        return Image.fromarray(pixels)

    @perturbations.register(
        "toy_ascent", family="toy_gradient", strength="epsilon", needs={"gradient"}
    )
    def toy_ascent(image: Image.Image, gradient, *, epsilon: float) -> Image.Image:
        step = np.floor(255 * epsilon) * np.sign(gradient(image))
        return Image.fromarray(np.clip(np.asarray(image) + step, 0, 255).astype(np.uint8))

    yield
    registry._REGISTRY.pop("toy_darken")
    registry._REGISTRY.pop("toy_ascent")


def readouts(found: dict, task: str) -> list[list[dict]]:
    return [row["readouts"] for row in found["samples"][task]]


def test_masks_reach_a_perturbation_and_their_provider_enters_the_keys(
    evaluate: Callable[..., dict], toys: None
) -> None:
    found = evaluate("darkened", "darkened_right")
    shown = {
        task: [(clean["image_sha256"], dark["image_sha256"]) for clean, dark in rows]
        for task in ("darkened", "darkened_right")
        if (rows := readouts(found, task))
    }
    for left, right in zip(shown["darkened"], shown["darkened_right"], strict=True):
        assert left[0] == right[0] and left[1] != right[1] and left[0] not in (left[1], right[1])
    numbers = found["results"]["darkened"]
    assert numbers["ifr_toy_masks,none"] == numbers["ifr,none"]


def test_a_perturbation_of_ones_own_gets_the_masks_that_a_task_names(
    evaluate: Callable[..., dict], toys: None
) -> None:
    rows = readouts(evaluate("darkened_things"), "darkened_things")
    # Only things that are in the image have masks.
    assert {len(row) for row in rows} == {1, 2}
    assert all(row[0]["image_sha256"] != row[-1]["image_sha256"] for row in rows if len(row) > 1)


def test_a_gradient_reaches_a_perturbation_and_gives_the_same_pixels_again(
    evaluate: Callable[..., dict], toys: None
) -> None:
    once, again = (readouts(evaluate("ascending"), "ascending") for _ in range(2))
    assert once == again
    for clean, moved in once:
        assert clean["image_sha256"] != moved["image_sha256"]


def test_a_need_without_a_provider_is_refused_when_the_task_is_built(
    evaluate: Callable[..., dict], toys: None
) -> None:
    with pytest.raises(TaskError, match="task unprovided: toy_ascent needs gradient, which this"):
        evaluate("unprovided")


def test_a_provider_of_no_need_is_refused(
    evaluate: Callable[..., dict], toys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeftMasked, "providers", {"depth": HalfMasks(left=True)})
    with pytest.raises(TaskError, match="task darkened: providers has 'depth', expected gradient"):
        evaluate("darkened")


def test_gradients_are_taken_while_the_model_is_idle(
    evaluate: Callable[..., dict], toys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, busy = load(), []
    generate, give = lm.model.generate, TowerGradient.__call__

    def generating(*args, **kwargs):
        busy.append("generate")
        output = generate(*args, **kwargs)
        busy.append("idle")
        return output

    def giving(self, *args):
        assert not busy or busy[-1] == "idle"
        gradient = give(self, *args)
        busy.append("gradient")
        busy.append("idle")
        return gradient

    lm.model.generate = generating
    monkeypatch.setattr(TowerGradient, "__call__", giving)
    evaluate("ascending", model=lm)
    assert busy.count("gradient") == 4 and busy.count("generate") == 8


class Ahead(LlavaHf):
    """Looks all documents up beforehand, the last first."""

    def __init__(self) -> None:
        super().__init__(str(MODEL_DIR), device="cpu", device_map="cpu", dtype="float32")

    def announce(self, rows: list[tuple[str, int]]) -> None:
        """Say nothing of the rows of the next generate()."""

    def generate_until(self, requests: list) -> list:
        ahead = {}
        for request in reversed(requests):
            _, _, _, doc_id, task, split = request.args
            ahead[task, doc_id] = self.task_dict[task][split][doc_id]
        views = self.task_dict
        self.task_dict = {
            task: {split: {doc: held for (name, doc), held in ahead.items() if name == task}}
            for _, _, _, _, task, split in (request.args for request in requests)
        }
        generate = self.model.generate
        rows = [(request.args[4], request.args[3]) for request in requests]

        def announced(*args, **kwargs):
            batch = [rows.pop(0) for _ in range(len(kwargs["input_ids"]))]
            self.announce(batch)
            return generate(*args, **kwargs)

        self.model.generate = announced
        try:
            return super().generate_until(requests)
        finally:
            self.model.generate = generate
            self.task_dict = views


class Announcing(Ahead):
    """Announces each batch's rows."""

    announce_rows: Callable | None = None

    def announce(self, rows: list[tuple[str, int]]) -> None:
        self.announce_rows(rows)


def test_an_adapter_that_announces_its_rows_may_look_up_in_any_order(
    evaluate: Callable[..., dict],
) -> None:
    assert readouts(evaluate("noisy", model=Announcing()), "noisy") == readouts(
        evaluate("noisy"), "noisy"
    )


def test_without_the_announcement_rows_in_another_order_are_detected(
    evaluate: Callable[..., dict],
) -> None:
    with pytest.raises(MeasurementError, match="generate.. runs 1 rows, but 4 documents were"):
        evaluate("noisy", model=Ahead())


class NoMasks:
    name = "no masks/1"

    def __call__(self, request, image: Image.Image, source):
        raise RuntimeError("the mask model is down")


def test_a_provider_that_fails_is_named(
    evaluate: Callable[..., dict], toys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeftMasked, "providers", {"masks": NoMasks(), "gradient": NoMasks()})
    what = (
        r"variant toy_darken.*: no masks/1, which provides masks, failed with RuntimeError: the m"
    )
    with pytest.raises(MeasurementError, match=what):
        evaluate("darkened")
