"""An answer is used again if nothing that decides it has changed, and only then."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lmms_eval.tasks import TaskManager
from safetensors.torch import load_file, save_file

from vlm_confidence_tasks.evaluation.response_cache import fingerprint
from vlm_confidence_tasks.perturbations import text as overlay
from vlm_confidence_tasks.sandbox import MODEL_DIR

from .kept_runs import evaluate, reused, said

NOISE = "perturbations: [{name: gaussian_noise, epsilon: 0.3}]"
TASKS = {
    "noisy": NOISE,
    "noisier": "perturbations: [{name: gaussian_noise, epsilon: 0.4}]",
    "other_draw": "perturbations: [{name: gaussian_noise, epsilon: 0.3, seed: 1}]",
    "other_prompt": NOISE + '\nlmms_eval_specific_kwargs: {default: {post_prompt: "\\nSay it."}}',
    "longer": NOISE + "\ngeneration_kwargs: {max_new_tokens: 17, temperature: 0}",
    "smaller": NOISE + "\nmax_side: 40",
    "scored": NOISE + "\nloglik: true",
    "overlaid": "perturbations: [{name: text_overlay, content: semantic}]",
}
# Of the three documents' six answers, three are to clean images.
ALL, CLEAN_ONLY, NONE = "reused 6 of 6", "reused 3 of 6", "reused 0 of 6"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(MODEL_DIR, tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="module")
def filled(
    manager: TaskManager, few_questions: Path, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A journal of the answers of `noisy` and `overlaid`."""
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))
        for task in ("noisy", "overlaid"):
            evaluate(manager, [task], folder, model_args=f"pretrained={model}")
    return folder


@pytest.fixture
def run(
    manager: TaskManager,
    few_questions: Path,
    model: Path,
    filled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """Run tasks on a copy of the filled journal; return what was reused."""
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))

    def run(*tasks: str, again: bool = False, **options) -> str:
        folder = tmp_path / "journal"
        if not again:
            shutil.copytree(filled, folder, dirs_exist_ok=True)
        with said() as lines:
            given = {"model_args": f"pretrained={model}", **options}
            evaluate(manager, list(tasks), folder, **given)
        return reused(lines)

    return run


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("noisier", CLEAN_ONLY),
        ("other_draw", CLEAN_ONLY),
        ("other_prompt", NONE),
        ("longer", NONE),
        ("smaller", NONE),
        ("scored", NONE),
    ],
)
def test_a_changed_task(run: Callable[..., str], task: str, expected: str) -> None:
    assert run(task).startswith(expected)


def test_another_margin_of_the_overlays_text(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("overlaid").startswith(ALL)
    monkeypatch.setattr(overlay, "PADDING", overlay.PADDING + 1)
    assert run("overlaid").startswith(CLEAN_ONLY)


def test_changed_weights_in_the_same_folder(run: Callable[..., str], model: Path) -> None:
    file = model / "model.safetensors"
    before = file.read_bytes()
    weights = load_file(file)
    name = min(weights)
    weights[name] = weights[name] * 1.0009765625
    save_file(weights, file, metadata={"format": "pt"})
    assert len(file.read_bytes()) == len(before)
    try:
        assert run("noisy").startswith(NONE)
    finally:
        file.write_bytes(before)
    assert run("noisy").startswith(ALL)


def test_the_same_weights_in_another_folder(
    run: Callable[..., str], model: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(model, tmp_path / "elsewhere")
    assert run("noisy", model_args=f"pretrained={moved}").startswith(ALL)


@pytest.mark.parametrize(
    ("tasks", "options", "expected"),
    [
        (["noisy"], {"batch_size": 3}, ALL),
        (["noisy"], {"limit": 2}, "reused 4 of 4"),
        (["overlaid", "noisier", "noisy"], {}, "reused 9 of 12"),
        (["noisy"], {"force_simple": True}, NONE),
    ],
)
def test_another_batch_size_limit_order_or_adapter(
    run: Callable[..., str], tasks: list[str], options: dict, expected: str
) -> None:
    assert run(*tasks, **options).startswith(expected)


@pytest.mark.parametrize("arguments", ["dtype=bfloat16", "use_cache=False"])
def test_changed_model_arguments(run: Callable[..., str], model: Path, arguments: str) -> None:
    assert run("noisy", model_args=f"pretrained={model},{arguments}").startswith(NONE)


@pytest.mark.parametrize("written", ["adapter", "./adapter"])
def test_a_changed_file_that_an_argument_names(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adapter").mkdir()
    digests = set()
    for weights in ("one", "other"):
        (tmp_path / "adapter" / "weights").write_text(weights)
        digests.add(str(fingerprint._arguments(None, {"peft": written}, "base")))
    assert len(digests) == 2
    (tmp_path / "adapter" / "gone").symlink_to("nowhere")
    with pytest.raises(fingerprint.UnknownWeights, match="adapter cannot be read"):
        fingerprint._arguments(None, {"peft": written}, "base")


@pytest.mark.parametrize("package", fingerprint.PACKAGES[:5])
def test_another_version(
    run: Callable[..., str], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = fingerprint._version
    monkeypatch.setattr(fingerprint, "_version", lambda name: (name == package) or version(name))
    assert run("noisy").startswith(NONE)


def test_answers_cached_with_options_are_used_for_tasks_without_them(
    run: Callable[..., str],
) -> None:
    assert run("scored").startswith(NONE)
    assert run("scored", again=True).startswith(ALL)
    assert run("noisy", again=True).startswith(ALL)
