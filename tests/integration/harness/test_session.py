"""One evaluation in this process, on the embedded model."""

from __future__ import annotations

import io
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import numpy as np
import pytest
from conftest import of_images, write_pope
from lmms_eval.tasks import TaskManager
from lmms_eval.tasks.pope import utils as upstream
from PIL import Image, ImageOps
from transformers import LlavaForConditionalGeneration

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.errors import MeasurementError, TaskError
from vlm_confidence_tasks.evaluation.runner import Runner
from vlm_confidence_tasks.perturbations import image_digest, perturb, registry

from .conftest import load
from .kept_runs import evaluate as evaluate_tasks

TASKS = {
    "three_draws": "perturbations: [{name: gaussian_noise, epsilon: 0.17, seed: [0, 1, 2]}]",
    "some_metrics": "perturbations: [{name: gaussian_noise, epsilon: 0.3}]\n"
    "metric_list: [{metric: entropy}, {metric: f1}]",
    # The model says "Yes" or "No"; of "Yes", all but the end counts as thinking.
    "thinking": "perturbations: [{name: gaussian_noise, epsilon: 0.3}]\nreasoning_tags: [[Y, e]]",
    # All of "Yes" is thinking; "Yes" is cut off while thinking.
    "only_thinking": "perturbations: [{name: gaussian_noise, epsilon: 0.3}]\n"
    "reasoning_tags: [[Y, s]]",
    "cut_off": "perturbations: [{name: gaussian_noise, epsilon: 0.3}]\n"
    "reasoning_tags: [[Y, never]]",
    "small": "perturbations: [{name: gaussian_noise, epsilon: 0.0}]\nmax_side: 32",
    "toy_shift": "perturbations: [{name: translate, dx: [-4, 4]}]",
    "toy": "perturbations: [{name: toy_posterize, bits: [1, 2]}]",
}


@pytest.fixture
def evaluate(
    manager: TaskManager, few_questions: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict]:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))

    def run(*tasks: str, limit: int = 5, **options) -> dict:
        return evaluate_tasks(manager, list(tasks), limit=limit, **options)

    return run


@pytest.fixture
def toy_family() -> Iterator[None]:
    @perturbations.register("toy_posterize", family="toy")
    def toy_posterize(image: Image.Image, *, bits: int) -> Image.Image:
        return ImageOps.posterize(image, bits)

    yield
    registry._REGISTRY.pop("toy_posterize")


@pytest.fixture
def generations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the calls of generate()."""
    calls = [0]
    generate = LlavaForConditionalGeneration.generate

    def counting(*args, **kwargs):
        calls[0] += 1
        return generate(*args, **kwargs)

    monkeypatch.setattr(LlavaForConditionalGeneration, "generate", counting)
    return calls


def test_each_clean_question_is_generated_once_in_a_sweep(
    evaluate: Callable, generations: list[int]
) -> None:
    evaluate("pope_eps0.1", "pope_eps0.2", "pope_eps0.3", "pope_eps0.5", limit=6)
    assert generations == [5 * 6]


def test_answers_do_not_depend_on_how_many_images_are_held(
    evaluate: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, discards = {}, {}
    discard = Runner.discard
    for memory in ("4GB", "1"):
        monkeypatch.setenv("VLM_CONFIDENCE_MEMORY", memory)
        sources: list[list[bytes]] = []

        def noted(runner: Runner, block: list[bytes], into: list[list[bytes]] = sources) -> None:
            into.append(block)
            discard(runner, block)

        monkeypatch.setattr(Runner, "discard", noted)
        found[memory] = evaluate("three_draws", "toy_shift", limit=6)["samples"]
        discards[memory] = len(sources)
    assert discards["4GB"] == 1 and discards["1"] >= 3
    assert found["4GB"] == found["1"]


def test_a_bad_size_of_memory_ends_the_run(
    evaluate: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_MEMORY", "much")
    with pytest.raises(TaskError, match="VLM_CONFIDENCE_MEMORY is 'much', expected a size"):
        evaluate("small")


def test_the_model_and_tasks_are_restored_after_an_evaluation(evaluate: Callable) -> None:
    lm = load()
    model = lm.model
    evaluate("pope_eps0.3", model=lm)
    assert "generate_until" not in vars(lm)
    assert "generate" not in vars(model)
    hooks = [hook for module in model.modules() for hook in module._forward_hooks.values()]
    assert not [hook for hook in hooks if "vlm_confidence_tasks" in repr(hook)]


def test_other_tasks_of_the_run_are_not_changed(
    evaluate: Callable, tmp_path: Path, few_questions: Path
) -> None:
    (tmp_path / "plain.yaml").write_text(
        "task: plain\ndataset_path: parquet\n"
        f"dataset_kwargs: {{data_files: {{test: '{few_questions}/pope/*.parquet'}}}}\n"
        "test_split: test\noutput_type: generate_until\ndoc_to_text: question\n"
        "doc_to_visual: !function utils.visual\ndoc_to_target: answer\n"
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    )
    (tmp_path / "utils.py").write_text("def visual(doc):\n    return [doc['image']]\n")
    manager = TaskManager("WARNING", str(tmp_path), include_defaults=False)
    both = evaluate_tasks(manager, ["plain", "pope_eps0.3"], tmp_path / "cache")
    assert len(both["samples"]["plain"]) == len(both["samples"]["pope_eps0.3"]) == 3
    assert "readouts" not in both["samples"]["plain"][0]
    assert all(sample["filtered_resps"] for sample in both["samples"]["plain"])


def test_the_harness_cache_never_answers_perturbed_tasks(
    evaluate: Callable, generations: list[int], tmp_path: Path
) -> None:
    evaluate("pope_eps0.3", limit=3, folder=tmp_path)
    assert generations == [2 * 3]
    assert [path.name for path in tmp_path.iterdir()] == ["vlm_confidence"]


def test_a_users_yaml_with_three_draws(evaluate: Callable) -> None:
    found = evaluate("three_draws")
    for row in found["samples"]["three_draws"]:
        clean, *draws = row["readouts"]
        assert [record["seed"] for record in draws] == [0, 1, 2]
        assert {record["parameters"]["epsilon"] for record in draws} == {0.17}
        assert len({record["image_sha256"] for record in (clean, *draws)}) == 4


def test_a_custom_family_is_one_function(evaluate: Callable, toy_family: None) -> None:
    found = evaluate("toy")
    numbers = found["results"]["toy"]
    assert numbers["ifr_toy,none"] == numbers["ifr,none"]
    assert numbers["iv_toy,none"] >= numbers["ifr_toy,none"]
    for row in found["samples"]["toy"]:
        clean, one, two = row["readouts"]
        assert [record["family"] for record in (clean, one, two)] == ["", "toy", "toy"]
        assert len({clean["image_sha256"], one["image_sha256"], two["image_sha256"]}) == 3


def test_only_listed_metrics_are_reported(evaluate: Callable) -> None:
    results = evaluate("some_metrics")["results"]["some_metrics"]
    names = {key.split(",")[0] for key in results if "," in key and "_stderr" not in key}
    assert names == {"entropy", "f1"}


def test_answers_with_thinking_have_no_label_probabilities(evaluate: Callable) -> None:
    found = evaluate("thinking", limit=24)
    rows = found["samples"]["thinking"]
    readouts = [readout for row in rows for readout in row["readouts"]]
    assert {readout["text"] for readout in readouts} == {"s", "No"}
    for readout in readouts:
        assert (readout["probs"] is None) == (readout["text"] == "s")
        assert (readout["confidence"] is None) == (readout["text"] == "s")
        assert readout["position_unknown"] == (readout["text"] == "s")
        assert readout["entropy"] is not None
    said_no = [row["readouts"][0]["confidence"] for row in rows]
    mean = found["results"]["thinking"]["confidence_clean,none"]
    assert mean == pytest.approx(np.mean([one for one in said_no if one is not None]))


@pytest.mark.parametrize("task", ["only_thinking", "cut_off"])
def test_thinking_without_an_answer_after_it_is_no_answer(evaluate: Callable, task: str) -> None:
    found = evaluate(task, limit=24)
    readouts = [record for row in found["samples"][task] for record in row["readouts"]]
    nothing = [record for record in readouts if not record["text"]]
    assert nothing and {record["text"] for record in readouts} == {"", "No"}
    for record in nothing:
        assert record["answer"] is None and record["correct"] is False
        assert record["probs"] is None and record["confidence"] is None
    shown = [row["readouts"][1]["text"] for row in found["samples"][task]]
    assert found["results"][task]["invalid_rate,none"] == shown.count("") / len(shown)


def test_tags_on_the_command_line_are_checked_before_the_first_request(evaluate: Callable) -> None:
    arguments = Namespace(reasoning_tags='[["<think>"]]', output_path=None)
    with pytest.raises(TaskError, match="--reasoning_tags is .*, expected pairs of tags"):
        evaluate("pope_eps0.3", cli_args=arguments)


def test_a_group_and_one_of_its_tasks(evaluate: Callable) -> None:
    both = evaluate("pope_eps", "pope_eps0.3")
    alone = evaluate("pope_eps0.3")
    assert both["results"]["pope_eps0.3"] == alone["results"]["pope_eps0.3"]
    once, again = (
        [row["readouts"] for row in one["samples"]["pope_eps0.3"]] for one in (alone, both)
    )
    assert again == once


def test_answers_that_cannot_be_matched_are_neither_scored_nor_cached(
    evaluate: Callable, tmp_path: Path
) -> None:
    adapter = load()
    generate = adapter.generate_until
    adapter.generate_until = lambda requests: generate(requests)[1:]
    with pytest.raises(MeasurementError, match="returned 4 answers to 5 requests, so that answers"):
        evaluate("pope_eps0.3", model=adapter, folder=tmp_path)
    healthy = evaluate("pope_eps0.3", folder=tmp_path)
    assert healthy["results"]["pope_eps0.3"] == evaluate("pope_eps0.3")["results"]["pope_eps0.3"]


def test_images_are_resized_first_and_strength_zero_changes_nothing(evaluate: Callable) -> None:
    found = evaluate("small")
    for row in found["samples"]["small"]:
        clean, zero = row["readouts"]
        assert clean["image_sha256"] == zero["image_sha256"]
        assert clean["text"] == zero["text"] and clean["entropy"] == zero["entropy"]
    numbers = found["results"]["small"]
    assert numbers["ifr,none"] == 0 and numbers["entropy_delta,none"] == 0


def test_the_model_receives_the_images_of_the_registry(
    evaluate: Callable, few_questions: Path
) -> None:
    rows = datasets.Dataset.from_parquet(str(next(few_questions.glob("pope/*.parquet"))))
    images = {str(row["question_id"]): row["image"].convert("RGB") for row in rows}
    for row in evaluate("pope_eps0.5")["samples"]["pope_eps0.5"]:
        clean, noisy = row["readouts"]
        image = images[row["question_id"]]
        assert clean["image_sha256"] == image_digest(image)
        made = perturb(image, "gaussian_noise", epsilon=0.5)
        assert noisy["image_sha256"] == image_digest(made)


@pytest.mark.parametrize("mode", ["P", "L", "RGBA", "CMYK"])
def test_images_of_any_mode_are_shown_as_upstream_converts_them(
    mode: str, evaluate: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")

    def saved(stored: bytes) -> bytes:
        Image.open(io.BytesIO(stored)).convert(mode).save(name)
        return name.read_bytes()

    folder = write_pope(tmp_path / "data", [0], of_images(saved))
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(folder))
    (sample,) = evaluate("pope_eps0.3", limit=1)["samples"]["pope_eps0.3"]
    with Image.open(name) as decoded:
        assert decoded.mode == mode
        (theirs,) = upstream.pope_doc_to_visual({"image": decoded})
    assert sample["image_sha256"] == image_digest(theirs)
