"""The models that the plugin adds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import assert_near, write_pope
from harness.kept_runs import evaluate as evaluate_tasks
from lmms_eval.tasks import TaskManager
from PIL import Image

from vlm_confidence_tasks import models
from vlm_confidence_tasks.errors import MeasurementError
from vlm_confidence_tasks.models.llava import Llava, LlavaSimple, TinyLlava
from vlm_confidence_tasks.sandbox import MODEL_DIR


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    return TaskManager("WARNING", include_defaults=False)


def evaluate(adapter, manager: TaskManager, data: Path, monkeypatch, limit: int = 6) -> list[dict]:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(data))
    found = evaluate_tasks(manager, ["pope_eps0.3"], model=adapter, limit=limit)
    return found["samples"]["pope_eps0.3"]


OURS = ["hf_multimodal", "tiny_llava"]


def records(rows: list[dict], key: str) -> list:
    return [record[key] for row in rows for record in row["readouts"]]


def test_without_arguments_it_runs_where_it_is(
    manager: TaskManager, few_questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = Llava(str(MODEL_DIR))
    assert adapter.model.dtype == torch.float32 or torch.cuda.is_available()
    chat = evaluate(adapter, manager, few_questions, monkeypatch)
    simple = evaluate(LlavaSimple(str(MODEL_DIR)), manager, few_questions, monkeypatch)
    for row, other in zip(chat, simple, strict=True):
        assert row["readouts"][0]["image_sha256"] == other["readouts"][0]["image_sha256"]
        assert other["readouts"][0]["entropy"] >= 0


@pytest.mark.parametrize(
    "options", [{"dtype": "bfloat16"}, {"load_in_8bit": True}, {"load_in_4bit": True}]
)
def test_other_precisions_give_other_but_finite_numbers(
    options: dict, manager: TaskManager, few_questions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = evaluate(TinyLlava(**options), manager, few_questions, monkeypatch)
    exact = evaluate(TinyLlava(), manager, few_questions, monkeypatch)
    entropies = records(rows, "entropy")
    assert torch.tensor(entropies).isfinite().all()
    assert entropies != records(exact, "entropy")


@pytest.mark.parametrize("options", [{}, {"batch_size": 3, "max_packed_tokens": "60"}])
def test_shared_prefixes_change_no_result(
    options: dict, manager: TaskManager, plain_results: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_near(all_results(manager, monkeypatch, **options), plain_results)


@pytest.fixture(scope="module")
def plain_results(manager: TaskManager) -> dict:
    with pytest.MonkeyPatch.context() as patch:
        return all_results(manager, patch, shared_prefix="false")


def all_results(manager: TaskManager, monkeypatch: pytest.MonkeyPatch, **options) -> dict:
    """The readouts of tasks that measure all there is, by task; second turns too."""
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", "sandbox")
    names = ["amber_drift", "pope_loglik", "pope_verbal3", "seed_textoverlay", "mmmu_rotation"]
    found = evaluate_tasks(manager, names, model=TinyLlava(**options), limit=5)
    return {name: [row["readouts"] for row in found["samples"][name]] for name in names}


def test_a_prompt_that_cannot_be_processed_is_named(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(row: dict) -> dict:
        # A placeholder of an image for which there is none.
        return {**row, "question": "<image> ?"} if row["question_id"] == "4" else row

    data = write_pope(tmp_path, range(6), torn)
    with pytest.raises(MeasurementError, match=r"document 3 \(question_id 4\)"):
        evaluate(TinyLlava(), manager, data, monkeypatch)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_failed_generation_raises_for_any_task(
    batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = TinyLlava(batch_size=batch_size)
    calls = []

    def failing(*args, **kwargs):
        calls.append(1)
        raise RuntimeError("boom")

    monkeypatch.setattr(adapter.model, "generate", failing)
    content = [{"type": "image", "url": Image.new("RGB", (8, 8))}, {"type": "text", "text": "Hi"}]
    message = [{"role": "user", "content": content}]
    adapter.task_dict = {"any": {"test": [{}] * 8}}
    requests = [
        SimpleNamespace(args=("", lambda doc: message, {"max_new_tokens": 2}, i, "any", "test"))
        for i in range(8)
    ]
    with pytest.raises(RuntimeError, match="boom"):
        adapter.generate_until(requests)
    assert len(calls) == 1
    assert adapter.model.generate is failing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pretrained": "liuhaotian/llava-v1.5-7b"}, "pretrained=llava-hf/llava-1.5-7b-hf$"),
        ({"pretrained": "liuhaotian/llava-v9"}, "one of llava-hf/llava-1.5-13b-hf, llava-hf"),
        ({"load_in_4bit": True, "load_in_8bit": True}, "not both"),
        ({"batch_size": "auto"}, "batch_size is 'auto'"),
        ({"dtype": "float12"}, "dtype is 'float12'"),
        ({"dtyp": "float16"}, "no model argument 'dtyp'"),
        ({"max_packed_tokens": 0}, "max_packed_tokens is 0, expected a whole number of 1 or more"),
        ({"shared_prefix": "perhaps"}, "shared_prefix is 'perhaps', expected true or false"),
        ({"pretrained": ""}, "needs a model"),
    ],
)
def test_an_argument_that_cannot_be_used(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TinyLlava(**options)


def test_an_installed_llava_package_keeps_its_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [manifest.model_id for manifest in models.manifests()] == [*OURS, "llava"]
    info = tmp_path / "llava-1.2.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llava\nVersion: 1.2.2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [manifest.model_id for manifest in models.manifests()] == OURS
