"""One evaluation in this process, on the embedded model."""

from __future__ import annotations

import io
import struct
import zlib
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import pytest
from conftest import write_pope
from lmms_eval import evaluator
from lmms_eval.models import get_model
from lmms_eval.tasks import TaskManager
from lmms_eval.tasks.pope import utils as upstream
from PIL import Image, ImageOps
from transformers import LlavaForConditionalGeneration

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.harness import pictures, plan, session
from vlm_confidence_tasks.harness.errors import MeasurementError, TaskError
from vlm_confidence_tasks.perturbations import image_digest, perturb, registry

TEMPLATE = (
    "class: !function vlm_confidence_tasks.harness.task.PerturbedTask\n"
    "benchmark: pope\ntest_split: test\ncluster_key: image_id\n"
    "generation_kwargs: {max_new_tokens: 16, temperature: 0}\n"
    'lmms_eval_specific_kwargs: {default: {post_prompt: "\\nAnswer the question using a single '
    'word or phrase."}}\n'
)
MINE = {
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
    "toy": "perturbations: [{name: toy_posterize, bits: [1, 2]}]",
    "no_such_metric": "perturbations: []\nmetric_list: [{metric: acc_norm}]",
    "aggregated": "perturbations: []\nmetric_list: [{metric: accuracy, aggregation: mean}]",
    "no_metrics": "perturbations: []\nmetric_list: []",
    "empty_prompt": "perturbations: []\n"
    "lmms_eval_specific_kwargs: {default: {pre_prompt: , post_prompt: x}}",
    "misspelt_prompt": "perturbations: []\nlmms_eval_specific_kwargs: {default: {post_promt: x}}",
    "a/slash": "perturbations: []",
    "one_tag": 'perturbations: []\nreasoning_tags: [["<think>"]]',
    "likelihood": "perturbations: []\noutput_type: loglikelihood",
    "other_clusters": "perturbations: []\ncluster_key: imageid",
    "number_for_path": "perturbations: []\ndataset_path: 3",
    "no_tokens": "perturbations: []\ngeneration_kwargs: {max_new_tokens: 0}",
    "do_sample": "perturbations: []\ngeneration_kwargs: {do_sample: true}",
    "no_such_key": "perturbations: []\nfilter_list: []",
    "no_perturbations": "",
    "no_such_epsilon": "perturbations: [{name: gaussian_noise, epsilon: -1}]",
    "sampling": "perturbations: []\ngeneration_kwargs: {temperature: 0.7}",
    "beams": "perturbations: []\ngeneration_kwargs: {num_beams: 4}",
}


def load():
    """Load the model anew: the harness takes it out of its adapter after an evaluation."""
    return get_model("tiny_llava").create_from_arg_string("", {"batch_size": 1})


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> TaskManager:
    folder = tmp_path_factory.mktemp("tasks")
    for name, body in MINE.items():
        file = folder / f"{name.replace('/', '_')}.yaml"
        # Of a key that is given twice, YAML takes the last.
        file.write_text(f"{TEMPLATE}task: {name}\n{body}\n")
    return TaskManager("WARNING", include_path=str(folder))


@pytest.fixture
def evaluate(
    manager: TaskManager, few_questions: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable]:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))

    def run(*tasks: str, lm=None, **options):
        options = {"limit": 5, "log_samples": True, "bootstrap_iters": 0, **options}
        return evaluator.simple_evaluate(
            lm or load(), tasks=list(tasks), task_manager=manager, **options
        )

    yield run


@pytest.fixture
def toy_family() -> Iterator[None]:
    @perturbations.register("toy_posterize", family="toy")
    def toy_posterize(image: Image.Image, *, bits: int) -> Image.Image:
        return ImageOps.posterize(image, bits)

    yield
    registry.unregister("toy_posterize")


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


def test_each_clean_question_is_asked_once_in_a_sweep(
    evaluate: Callable, generations: list[int]
) -> None:
    evaluate("pope_eps0.1", "pope_eps0.2", "pope_eps0.3", "pope_eps0.5", limit=6)
    assert generations == [5 * 6]


def test_nothing_is_left_behind(evaluate: Callable) -> None:
    lm = load()
    model = lm.model
    evaluate("pope_eps0.3", lm=lm)
    assert "generate_until" not in vars(lm)
    assert "generate" not in vars(model)
    hooks = [hook for module in model.modules() for hook in module._forward_hooks.values()]
    assert not [hook for hook in hooks if "vlm_confidence_tasks" in repr(hook)]


def test_other_tasks_of_the_run_are_left_alone(
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
    manager = TaskManager("WARNING", include_path=str(tmp_path))
    both = evaluator.simple_evaluate(
        load(),
        tasks=["plain", "pope_eps0.3"],
        task_manager=manager,
        limit=3,
        bootstrap_iters=0,
        use_cache=str(tmp_path / "cache"),
    )
    assert len(both["samples"]["plain"]) == len(both["samples"]["pope_eps0.3"]) == 3
    assert "readouts" not in both["samples"]["plain"][0]
    assert all(sample["filtered_resps"] for sample in both["samples"]["plain"])


def test_the_harness_cache_never_answers_for_us(
    evaluate: Callable, generations: list[int], tmp_path: Path
) -> None:
    evaluate("pope_eps0.3", limit=3, use_cache=str(tmp_path))
    assert generations == [2 * 3]
    assert [path.name for path in tmp_path.iterdir()] == ["vlm_confidence"]


def test_a_users_yaml_with_three_draws(evaluate: Callable) -> None:
    found = evaluate("three_draws")
    for row in found["samples"]["three_draws"]:
        clean, *draws = row["readouts"]
        assert [record["seed"] for record in draws] == [0, 1, 2]
        assert {record["parameters"]["epsilon"] for record in draws} == {0.17}
        assert len({record["image_sha256"] for record in (clean, *draws)}) == 4


def test_a_family_of_ones_own_is_one_function(evaluate: Callable, toy_family: None) -> None:
    found = evaluate("toy")
    numbers = found["results"]["toy"]
    assert numbers["ifr_toy,none"] == numbers["ifr,none"]
    assert numbers["iv_toy,none"] >= numbers["ifr_toy,none"]
    for row in found["samples"]["toy"]:
        clean, one, two = row["readouts"]
        assert [record["family"] for record in (clean, one, two)] == ["", "toy", "toy"]
        assert len({clean["image_sha256"], one["image_sha256"], two["image_sha256"]}) == 3


def test_listed_metrics_are_all_that_is_reported(evaluate: Callable) -> None:
    results = evaluate("some_metrics")["results"]["some_metrics"]
    names = {key.split(",")[0] for key in results if "," in key and "_stderr" not in key}
    assert names == {"entropy", "f1"}


def test_after_thinking_there_is_no_probability_of_labels(evaluate: Callable) -> None:
    found = evaluate("thinking", limit=24)
    rows = found["samples"]["thinking"]
    readouts = [readout for row in rows for readout in row["readouts"]]
    assert {readout["text"] for readout in readouts} == {"s", "No"}
    for readout in readouts:
        assert (readout["probs"] is None) == (readout["text"] == "s")
        assert (readout["confidence"] is None) == (readout["text"] == "s")
        assert readout["entropy"] is not None
    said_no = [row["readouts"][0]["confidence"] for row in rows]
    mean = found["results"]["thinking"]["confidence_clean,none"]
    assert mean == pytest.approx(np.mean([one for one in said_no if one is not None]))


@pytest.mark.parametrize("task", ["only_thinking", "cut_off"])
def test_thinking_with_no_answer_after_it_is_no_answer(evaluate: Callable, task: str) -> None:
    found = evaluate(task, limit=24)
    readouts = [record for row in found["samples"][task] for record in row["readouts"]]
    nothing = [record for record in readouts if not record["text"]]
    assert nothing and {record["text"] for record in readouts} == {"", "No"}
    for record in nothing:
        assert record["answer"] is None and record["correct"] is False
        assert record["probs"] is None and record["confidence"] is None
    shown = [row["readouts"][1]["text"] for row in found["samples"][task]]
    assert found["results"][task]["invalid_rate,none"] == shown.count("") / len(shown)


def test_tags_on_the_command_line_are_read_before_anything_is_asked(evaluate: Callable) -> None:
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


def test_answers_that_cannot_be_told_apart_are_neither_scored_nor_kept(
    evaluate: Callable, tmp_path: Path
) -> None:
    adapter = load()
    generate = adapter.generate_until
    adapter.generate_until = lambda requests: generate(requests)[1:]
    with pytest.raises(MeasurementError, match="returned 4 answers to 5 requests, so that none"):
        evaluate("pope_eps0.3", lm=adapter, use_cache=str(tmp_path))
    healthy = evaluate("pope_eps0.3", use_cache=str(tmp_path))
    assert healthy["results"]["pope_eps0.3"] == evaluate("pope_eps0.3")["results"]["pope_eps0.3"]


def test_images_are_resized_first_and_strength_zero_changes_nothing(evaluate: Callable) -> None:
    found = evaluate("small")
    for row in found["samples"]["small"]:
        clean, zero = row["readouts"]
        assert clean["image_sha256"] == zero["image_sha256"]
        assert clean["text"] == zero["text"] and clean["entropy"] == zero["entropy"]
    numbers = found["results"]["small"]
    assert numbers["ifr,none"] == 0 and numbers["entropy_delta,none"] == 0


def test_the_model_was_shown_what_the_registry_makes(
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


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("no_such_metric", "task no_such_metric: unknown metric 'acc_norm'; known: accuracy"),
        ("aggregated", "task aggregated: metric 'accuracy' has aggregation 'mean': leave it out"),
        ("no_metrics", "task no_metrics: metric_list is empty: leave it out"),
        ("empty_prompt", "task empty_prompt: pre_prompt is None, expected text"),
        ("misspelt_prompt", "unknown key 'post_promt' in lmms_eval_specific_kwargs; it has pre"),
        ("a/slash", "task a/slash: the task's name is part of file names: leave out the slash"),
        ("one_tag", "task one_tag: reasoning_tags is .*, expected pairs of tags"),
        ("likelihood", "task likelihood: output_type is 'loglikelihood': perturbed tasks generate"),
        ("other_clusters", "task other_clusters: cluster_key is 'imageid', expected image_id"),
        ("number_for_path", "task number_for_path: dataset_path is 3, expected a data set's id"),
        ("no_tokens", "task no_tokens: max_new_tokens is 0, expected a whole number"),
        ("do_sample", "task do_sample: generation_kwargs has do_sample: True"),
        ("no_such_key", "task no_such_key: unknown key 'filter_list'; a perturbed task has"),
        ("no_perturbations", "task no_perturbations: key 'perturbations' is missing"),
        ("no_such_epsilon", "task no_such_epsilon: .*epsilon.*-1"),
        ("sampling", "task sampling: generation_kwargs has temperature: 0.7; .*num_beams to? ?1?"),
        ("beams", "task beams: generation_kwargs has num_beams: 4"),
    ],
)
def test_a_yaml_that_cannot_be_used(evaluate: Callable, task: str, message: str) -> None:
    with pytest.raises(TaskError, match=message.replace("num_beams to? ?1?", "num_beams: 1")):
        evaluate(task)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gen_kwargs": "temperature=0.5"}, "temperature: 0.5"),
        ({"num_fewshot": 2}, "--num_fewshot"),
        ({"repeats": 3}, "--repeats"),
        ({"cache_requests": True}, "--cache_requests"),
    ],
)
def test_an_option_that_perturbed_tasks_refuse(
    evaluate: Callable, options: dict, message: str
) -> None:
    with pytest.raises(TaskError, match=f"task pope_eps0.3.*{message}"):
        evaluate("pope_eps0.3", **options)


def test_greedy_settings_on_the_command_line_are_fine(evaluate: Callable) -> None:
    found = evaluate("pope_eps0.3", gen_kwargs="temperature=0,num_beams=1,max_new_tokens=3")
    assert all(
        len(record["token_entropy"]) <= 3
        for row in found["samples"]["pope_eps0.3"]
        for record in row["readouts"]
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing_folder", "no folder .*missing_folder/pope; expected .*test.parquet"),
        ("missing_split", "no split 'test' in .*; expected .*, found adversarial.parquet"),
        ("missing_column", "column 'category' is missing; benchmark pope needs question_id"),
        ("no_images", "column 'image' holds no images"),
        ("torn", "cannot read .*test.parquet"),
        ("bad_answer", "document 0: answer is 'maybe', expected 'yes' or 'no'"),
    ],
)
def test_local_data_that_cannot_be_used(
    name: str, message: str, evaluate: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    if name != "missing_folder":
        write_pope(folder, [0, 23])
        (file,) = folder.glob("pope/*.parquet")
        rows = datasets.Dataset.from_parquet(str(file))
        file.unlink()
        target = file.parent / "test.parquet"
        if name == "missing_split":
            rows.to_parquet(str(file.parent / "adversarial.parquet"))
        elif name == "missing_column":
            rows.remove_columns("category").to_parquet(str(target))
        elif name == "no_images":
            flat = rows.remove_columns("image").add_column("image", [1.5, 2.5])
            flat.to_parquet(str(target))
        elif name == "torn":
            target.write_bytes(b"PAR1 and then nothing")
        else:
            rows.map(lambda row: {"answer": "maybe"}).to_parquet(str(target))
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(folder))
    with pytest.raises(TaskError, match=f"task pope_eps0.3.*{message}"):
        evaluate("pope_eps0.3")


@pytest.mark.parametrize("mode", ["P", "L", "RGBA", "CMYK", "I;16"])
def test_images_of_any_mode_are_shown_as_upstream_converts_them(
    mode: str, evaluate: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pope(tmp_path / "data", [0])
    (file,) = folder.glob("pope/*.parquet")
    row = datasets.Dataset.from_parquet(str(file))[0]
    image = row["image"].convert("L").convert(mode) if mode == "I;16" else row["image"]
    image = image if mode == "I;16" else image.convert(mode)
    name = tmp_path / ("image.tif" if mode in ("CMYK", "I;16") else "image.png")
    image.save(name)
    stored = {"bytes": name.read_bytes(), "path": None}
    features = datasets.Dataset.from_parquet(str(file)).features
    datasets.Dataset.from_list([row | {"image": stored}], features=features).to_parquet(str(file))
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(folder))
    (sample,) = evaluate("pope_eps0.3", limit=1)["samples"]["pope_eps0.3"]
    with Image.open(name) as decoded:
        assert decoded.mode == mode
        (theirs,) = upstream.pope_doc_to_visual({"image": decoded})
    assert sample["image_sha256"] == image_digest(theirs)


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
    evaluate: Callable, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        found = evaluate(task, use_cache=str(tmp_path / "cache"))
        (failed,) = found["failed"]
        assert "document 1 (question_id 24)" in failed["error"]
        assert "cannot make its image: SyntaxError: broken PNG" in failed["error"]


def test_what_failed_is_told_by_each_task_in_the_same_words_each_time(
    evaluate: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(row: dict) -> dict:
        if row["question_id"] != "24":
            return row
        return row | {"image": {"bytes": b"not an image", "path": None}}

    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, [0, 23], spoil)))
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "1")
    failed = evaluate("pope_eps0.3", "pope_verbal3")["failed"]
    assert [one["error"].split(",")[0] for one in failed] == [
        "task pope_eps0.3",
        "task pope_verbal3",
    ]
    assert all("UnidentifiedImageError" in one["error"] for one in failed)
    assert not any("0x" in one["error"] for one in failed)


def test_a_blank_image_that_fails_in_one_block_fails_in_the_next(
    evaluate: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unmade(variant: object) -> list[Image.Image]:
        raise OSError("no blank")

    monkeypatch.setattr(pictures, "blank_images", unmade)
    monkeypatch.setattr(session, "blocks", partial(plan.blocks, limit=1))
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "3")
    found = evaluate("caption_drift", limit=3)
    assert [failed["document"] for failed in found["failed"]] == [0, 1, 2]
    assert all("variant blank" in failed["error"] for failed in found["failed"])
