"""What must not be scored ends the run: non-zero exit, one line that says what and where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import evaluate_command, install_models, of_images, run_command, write_pope
from safetensors.torch import load_file, save_file

from vlm_confidence_tasks.harness.written_results import check_written
from vlm_confidence_tasks.sandbox import MODEL_DIR

# Adapters that a user might have installed, each broken in its own way.
BROKEN = '''
from lmms_eval.api.model import lmms
from lmms_eval.models.chat.llava_hf import LlavaHf
from lmms_eval.models.registry_v2 import ModelManifest


class Raising(LlavaHf):
    """The harness's adapter swallows what generate() raises."""

    def __init__(self, **options):
        super().__init__(**options)
        self.calls, generate = 0, self._model.generate

        def third_time_unlucky(*args, **kwargs):
            self.calls += 1
            if self.calls == 3:
                raise RuntimeError("boom\\nand more")
            return generate(*args, **kwargs)

        self._model.generate = third_time_unlucky


class Mute(LlavaHf):
    def generate_until(self, requests):
        return ["Yes" for _ in requests]


class Nothing(LlavaHf):
    """Generates, and loses the text."""

    def generate_until(self, requests):
        super().generate_until(requests)
        return ["" for _ in requests]


class Api(LlavaHf):
    """No model of its own, like an adapter of an API."""

    def __init__(self, **options):
        lmms.__init__(self)
        self._model, self._device = None, "cpu"

    def generate_until(self, requests):
        return ["Yes" for _ in requests]


MODELS = [
    ModelManifest(model_id=name.lower(), chat_class_path=f"broken_models.{name}")
    for name in ("Raising", "Mute", "Nothing", "Api")
]
'''
STOCK = f"pretrained={MODEL_DIR},device=cpu,device_map=cpu"


@pytest.fixture(scope="module")
def broken_models(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for PYTHONPATH in which a package of broken adapters is installed."""
    return install_models(tmp_path_factory.mktemp("site"), "broken_models", BROKEN)


def assert_ends_with(run, *parts: str) -> None:
    assert run.code == 1, run.output
    assert run.last_line.startswith("lmms_eval: error: "), run.last_line
    for part in parts:
        assert part in run.last_line, run.last_line
    assert not list(run.folder.rglob("*_results.json"))


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        (
            "raising",
            [
                *("task pope_eps0.3, document ", "(question_id ", "RuntimeError: boom;"),
                "variant clean: generate() failed",
            ],
        ),
        ("mute", ["document 0", "Mute answered without calling generate()"]),
        ("nothing", ["document 0", "Nothing returned an empty answer"]),
    ],
)
def test_an_answer_that_the_adapter_lost_or_made_up(
    model: str, parts: list[str], broken_models: str, few_questions: Path, tmp_path: Path
) -> None:
    command = evaluate_command("pope_eps0.3", "--model", model, "--model_args", STOCK)
    run = run_command(command, tmp_path, few_questions, PYTHONPATH=broken_models)
    assert_ends_with(run, *parts)


def test_nan_logits(few_questions: Path, tmp_path: Path) -> None:
    model = shutil.copytree(MODEL_DIR, tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    head = next(name for name in weights if "lm_head" in name or "embed_tokens" in name)
    weights[head][-1] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    command = evaluate_command("pope_eps0.3", "--model_args", f"pretrained={model}")
    run = run_command(command, tmp_path, few_questions)
    assert_ends_with(run, "document 0", "variant clean", "logits are not finite", "try another dty")


def test_a_corrupt_image_on_one_of_two_processes(tmp_path: Path) -> None:
    cut = of_images(lambda stored: stored[:60], "24")
    data = write_pope(tmp_path / "data", range(0, 70, 23), cut)
    launch = ["accelerate", "launch", "--cpu", "--num_processes", "2", "-m", "vlm_confidence_tasks"]
    run = run_command(evaluate_command("pope_eps0.3", program=launch), tmp_path, data)
    assert run.code != 0
    assert "lmms_eval: error: task pope_eps0.3, document 1 (question_id 24)" in run.output
    assert not list(run.folder.rglob("*_results.json"))


def test_a_run_whose_documents_all_failed(tmp_path: Path) -> None:
    spoiled = of_images(lambda stored: b"not an image")
    data = write_pope(tmp_path / "data", [0, 23], spoiled)
    run = run_command(
        evaluate_command("pope_eps0.3"), tmp_path, data, VLM_CONFIDENCE_MAX_FAILURES="2"
    )
    assert run.code == 1
    assert run.last_line.startswith(
        "lmms_eval: error: every document of pope_eps0.3 failed, so that it has no numbers; the "
        "first: task pope_eps0.3, document 0"
    )
    # What failed, and why, can be looked up.
    assert len(run.results["failed"]) == 2


def test_results_that_cannot_be_written(few_questions: Path, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    run = run_command(evaluate_command("caption_eps0.3", "--limit", "1"), tmp_path, few_questions)
    assert run.code == 1
    assert run.last_line.startswith("lmms_eval: error: the results cannot be written")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.unlink(), "m_results.json cannot be read: No such file"),
        (lambda file: file.write_text(""), "m_results.json is not whole: line 1 is missing"),
        (lambda file: file.write_text("{"), "m_results.json is not whole: line 1 is cut off"),
        (lambda file: file.write_text("[]\n"), "line 1 is not what the run gave to write"),
        (lambda file: file.rename(file.with_name("m_samples_t.jsonl")), "_results.json cannot be"),
    ],
)
def test_results_that_the_harness_did_not_write(
    damage: Callable, message: str, tmp_path: Path
) -> None:
    rows = [{"doc_id": 0, "text": "é\u2028"}, {"doc_id": 1, "nan": float("nan")}]
    results = {"date": "m", "configs": {"t": {}}, "results": {"t": {"ece,none": 0.25}}}
    file, samples = tmp_path / "m_results.json", tmp_path / "m_samples_t.jsonl"
    file.write_text(json.dumps(results, indent=2, ensure_ascii=False))
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    samples.write_text("".join(lines))

    def check() -> None:
        check_written(tmp_path, None, results, {"t": rows}, 0)

    check()
    for wrong, line in ((lines[0], "2 is missing"), (lines[0] + lines[1][:9], "2 is cut off")):
        samples.write_text(wrong)
        with pytest.raises(RuntimeError, match=f"m_samples_t.jsonl is not whole: line {line}"):
            check()
    samples.write_text("".join([*lines, lines[1]]))
    with pytest.raises(RuntimeError, match="line 3 is not what the run gave to write"):
        check()
    samples.write_text("".join(lines))
    damage(file)
    with pytest.raises(RuntimeError, match=message):
        check()


def test_every_failed_run_of_a_config_file(few_questions: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "mine.yaml").write_text(
        "class: !function vlm_confidence_tasks.harness.task.PerturbedTask\n"
        "task: mine\nbenchmark: pope\ntest_split: test\n"
        "perturbations: [{name: gaussian_nose, epsilon: 0.3}]\n"
    )
    each = {"model": "tiny_llava", "output_path": "results", "include_path": str(tasks)}
    runs = [each | {"tasks": name, "limit": 1} for name in ("mine", "caption_eps0.3", "gone")]
    (tmp_path / "runs.yaml").write_text(yaml.safe_dump([*runs, each]))
    run = run_command(["lmms_eval", "--config", "runs.yaml"], tmp_path, few_questions)
    assert run.code == 1
    unknown, missing, none = run.output.strip().splitlines()[-3:]
    assert unknown.startswith("lmms_eval: error: run 1 of runs.yaml: task mine: unknown perturbat")
    assert "'gaussian_nose'" in unknown and "gaussian_noise" in unknown
    assert missing.startswith("lmms_eval: error: run 3 of runs.yaml: Tasks not found: gone")
    assert none.startswith("lmms_eval: error: run 4 of runs.yaml: name the tasks with --tasks")
    assert run.numbers("caption_eps0.3")
    assert "\nrun 2 of runs.yaml: Clean -> perturbed" in run.output


def test_a_backend_without_logits_still_gets_accuracy_and_flips(
    broken_models: str, few_questions: Path, tmp_path: Path
) -> None:
    command = evaluate_command("pope_eps0.3", "--model", "api")
    run = run_command(command, tmp_path, few_questions, PYTHONPATH=broken_models)
    assert run.code == 0, run.output
    numbers = run.numbers("pope_eps0.3")
    assert 0 < numbers["accuracy"] < 1 and numbers["ifr"] == 0
    assert not {"entropy", "ece", "confidence", "defense_auroc"} & numbers.keys()
    assert run.output.count("gives no logits") == 1
