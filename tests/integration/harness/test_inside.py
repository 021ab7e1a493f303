"""Representations in an evaluation in this process, on the embedded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_pope
from lmms_eval import evaluator
from lmms_eval.models import get_model
from lmms_eval.tasks import TaskManager
from PIL import Image
from scipy.spatial.distance import cosine

from vlm_confidence_tasks.benchmarks import dataset as data
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.evaluation import run as runs
from vlm_confidence_tasks.harness import plugin
from vlm_confidence_tasks.harness.task_config import read_config
from vlm_confidence_tasks.metrics import band_powers, metrics_for
from vlm_confidence_tasks.probe import logit_source

QUESTION = "Is there a red circle in the image?"


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    plugin.install_tasks()
    return TaskManager("WARNING", include_defaults=False)


def same_question(row: dict) -> dict:
    return {**row, "question": QUESTION}


@pytest.fixture(scope="module")
def four_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same question about four images, one of them of another size."""
    folder = tmp_path_factory.mktemp("four")
    rows = iter(range(4))

    def change(row: dict) -> dict:
        if next(rows) < 3:
            return same_question(row)
        smaller = folder / "smaller.png"
        stored = data.datasets.Image().decode_example(row["image"])
        stored.convert("RGB").resize((48, 40), Image.Resampling.BICUBIC).save(smaller)
        image = {"bytes": smaller.read_bytes(), "path": None}
        return same_question({**row, "image": image})

    return write_pope(folder, [0, 40, 80, 120], change)


class Watched:
    """A model's calls of generate(), and what transformers gives for them apart."""

    def __init__(self, lm) -> None:
        self.lm, self.model, self.calls = lm, lm.model, []
        generate = lm.model.generate

        def keep(**arguments):
            tensors = {k: v for k, v in arguments.items() if k != "stopping_criteria"}
            self.calls.append(dict(tensors))
            return generate(**arguments)

        self.model.generate = keep
        self._generate = generate

    def states(self) -> list[dict[str, np.ndarray]]:
        """Context, answer and vision of each call, the plain way."""
        found = []
        for call in self.calls:
            shown = self.model.get_image_features(pixel_values=call["pixel_values"])
            plain = self._generate(**call, output_hidden_states=True, return_dict_in_generate=True)
            last = [states[-1][0, -1].double().numpy() for states in plain.hidden_states]
            found.append(
                {
                    "context": last[0],
                    # The end token is what the last step chose.
                    "answer": np.mean(last[1:], axis=0),
                    "vision": shown.pooler_output[0].double().mean(dim=0).numpy(),
                }
            )
        return found


@pytest.fixture(scope="module")
def run(manager: TaskManager, four_images: Path):
    """An evaluation of pope_drift: what it found, and what is found apart from it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLM_CONFIDENCE_DATA", str(four_images))
        watched = Watched(load())
        found = evaluate(manager, watched.lm, "pope_drift")
    with torch.no_grad():
        return found, watched, watched.states()


def load():
    return get_model("tiny_llava").create_from_arg_string("", {"batch_size": 1})


def evaluate(manager: TaskManager, lm, *tasks: str, **options):
    return evaluator.simple_evaluate(
        lm,
        tasks=list(tasks),
        task_manager=manager,
        log_samples=True,
        bootstrap_iters=0,
        **options,
    )


def insides(found: dict) -> list[dict]:
    rows = sorted(found["samples"]["pope_drift"], key=lambda row: row["doc_id"])
    return [record["inside"] for row in rows for record in row["readouts"]]


def test_each_request_is_generated_once_and_blank_images_once_per_size(run) -> None:
    _, watched, _ = run
    # Four clean, four strengths of each, and one blank of each of two sizes.
    assert len(watched.calls) == 4 + 4 * 4 + 2


def test_drifts_equal_those_of_independently_computed_states(run) -> None:
    found, _, states = run
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


def test_energies_equal_those_of_the_projectors_grid(run) -> None:
    found, watched, _ = run
    shown = watched.model.get_image_features(pixel_values=watched.calls[0]["pixel_values"])
    tokens = shown.pooler_output[0].detach().double().numpy()
    side = round(len(tokens) ** 0.5)
    grid = tokens.reshape(side, side, -1)
    edges = [np.diff(grid, axis=axis) ** 2 for axis in (0, 1)]
    expected = sum(e.sum() for e in edges) / (2 * side * (side - 1))
    assert insides(found)[0]["dirichlet_energy"] == pytest.approx(expected, rel=1e-5)


def test_spectra_equal_those_of_the_images_shown(run, four_images: Path) -> None:
    found, _, _ = run
    rows = data.datasets.Dataset.from_parquet(str(next(four_images.rglob("*.parquet"))))
    for image, first in zip(rows["image"], insides(found)[::5], strict=True):
        powers = band_powers(np.asarray(image.convert("RGB")) / 255)
        assert first["spectrum"] == pytest.approx(powers)
    low = [record["spectrum"]["high"] for record in insides(found)[:5]]
    assert low == sorted(low), "noise adds fine detail, and more of it with its strength"


def test_probabilities_on_the_blank_image_are_in_the_clean_readout(run) -> None:
    found, _, _ = run
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
    found = evaluate(manager, load(), "pope_eps0.1", "pope_drift", limit=2)
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


def test_without_representations_the_models_parts_are_not_searched(
    manager: TaskManager, four_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given):
        raise AssertionError("looked at")

    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(four_images))
    monkeypatch.setattr(logit_source, "find_structure", refuse)
    evaluate(manager, load(), "pope_eps0.1", limit=1)
    with pytest.raises(AssertionError, match="looked at"):
        evaluate(manager, load(), "pope_drift", limit=1)


def test_vectors_are_freed(
    manager: TaskManager, four_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    make = runs.Representations

    def keeping():
        kept.append(make())
        return kept[-1]

    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(four_images))
    monkeypatch.setattr(runs, "Representations", keeping)
    evaluate(manager, load(), "pope_drift", limit=2)
    (left,) = kept
    assert not left._captured
    sizes = [unit.nbytes for units in left._units.values() for unit in units.values()]
    width = 2 * load().model.config.text_config.hidden_size
    # Two clean answers of three channels and one blank image of one.
    assert sizes == [width] * (2 * 3 + 1)


def test_representations_must_be_true_or_false() -> None:
    config = {"task": "t", "benchmark": "pope", "perturbations": [], "representations": "some"}
    with pytest.raises(TaskError, match="representations is 'some', expected true or false"):
        read_config(config)
