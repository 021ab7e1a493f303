"""Training on the packaged model: what is learned, kept, resumed, and refused."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import msgspec
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from calibration.conftest import changed
from vlm_confidence_tasks.calibration import models
from vlm_confidence_tasks.calibration.config import Config, LoraConfig
from vlm_confidence_tasks.calibration.data import load_examples
from vlm_confidence_tasks.calibration.stages import sft_trainer
from vlm_confidence_tasks.calibration.train import train, trained_images
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.sandbox import MODEL_DIR

MODEL = str(MODEL_DIR)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    return dict(model.named_parameters())


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "loss.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_sft_learns_the_answers_tokens_alone(examples: Path, small: Config, tmp_path: Path) -> None:
    model, processor = models.load_model(MODEL, small.train), models.load_processor(MODEL)
    rows = load_examples(examples)
    trainer = sft_trainer(model, processor, rows, small.train.sft, small.train, tmp_path)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(6)])
    for row, labels, tokens in zip(
        rows.select(range(6)), batch["labels"], batch["input_ids"], strict=True
    ):
        learned = labels != -100
        assert torch.equal(labels[learned], tokens[learned])
        said = processor.tokenizer.decode(labels[learned])
        assert said.strip() == f"{row['chosen'][0]['content']}{processor.tokenizer.eos_token}"


@pytest.fixture(scope="module")
def trained(examples: Path, small: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    assert train(MODEL, examples, output, small) == output / "model"
    return output


def test_both_stages_leave_losses_a_figure_and_a_model(
    trained: Path, examples: Path, small: Config
) -> None:
    rows = _rows(trained)
    assert [(row["stage"], int(row["step"])) for row in rows] == [
        *(("sft", step) for step in (1, 2, 3, 4)),
        *(("simpo", step) for step in (1, 2)),
    ]
    assert float(rows[3]["loss"]) < float(rows[0]["loss"])
    assert Image.open(trained / "loss.png").size > (600, 300)
    before, after = _weights(MODEL_DIR), _weights(trained / "model")
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert AutoProcessor.from_pretrained(trained / "model").chat_template
    record = json.loads((trained / "model" / "csp.json").read_text())
    assert record["model"] == MODEL and record["config"]["train"]["sft"]["steps"] == 4
    assert msgspec.convert(record["config"], Config) == small


def test_a_model_knows_the_images_that_it_was_trained_on(trained: Path, examples: Path) -> None:
    images = set(load_examples(examples)["image_sha256"])
    assert trained_images(str(trained / "model")) == images
    assert not images & set(load_examples(examples, "test")["image_sha256"])
    assert trained_images(MODEL) == set()


def test_training_again_gives_the_same_weights_and_another_seed_others(
    trained: Path, examples: Path, small: Config, tmp_path: Path
) -> None:
    once = _weights(trained / "model")
    again = _weights(train(MODEL, examples, tmp_path / "again", small))
    assert all(torch.equal(once[name], again[name]) for name in once)
    other = _weights(train(MODEL, examples, tmp_path / "other", changed(small, seed=1)))
    assert any(not torch.equal(once[name], other[name]) for name in once)


@pytest.mark.parametrize("step", [2, 4])
def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(
    step: int, trained: Path, examples: Path, small: Config, tmp_path: Path
) -> None:
    kept = f"sft/checkpoint-{step}"
    shutil.copytree(trained / kept, tmp_path / kept)
    with pytest.raises(TaskError, match="holds checkpoints: add --resume"):
        train(MODEL, examples, tmp_path, small)
    went_on = _weights(train(MODEL, examples, tmp_path, small, resume=True))
    whole = _weights(trained / "model")
    for name, weights in whole.items():
        torch.testing.assert_close(went_on[name], weights, rtol=0, atol=1e-6)
    assert _rows(tmp_path) == _rows(trained)


def test_adapters_are_trained_alone_and_merged(
    examples: Path, small: Config, tmp_path: Path
) -> None:
    config = changed(small, lora=LoraConfig(rank=4, alpha=8))
    before, after = _weights(MODEL_DIR), _weights(train(MODEL, examples, tmp_path, config))
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    projections = {name for name in before if "language_model" in name and "_proj." in name}
    assert moved and moved <= projections


@pytest.mark.parametrize("step", [2, 4])
def test_adapters_go_on_from_a_checkpoint(
    step: int, examples: Path, small: Config, tmp_path: Path
) -> None:
    config = changed(small, lora=LoraConfig(rank=4, alpha=8), simpo=None)
    whole = _weights(train(MODEL, examples, tmp_path / "whole", config))
    kept = f"sft/checkpoint-{step}"
    shutil.copytree(tmp_path / "whole" / kept, tmp_path / "cut" / kept)
    went_on = _weights(train(MODEL, examples, tmp_path / "cut", config, resume=True))
    for name, weights in whole.items():
        torch.testing.assert_close(went_on[name], weights, rtol=0, atol=1e-6)


def test_adapters_begin_with_the_weights_of_their_seed(small: Config) -> None:
    made = []
    for seed in (0, 0, 1):
        config = changed(small, lora=LoraConfig(rank=4), seed=seed).train
        state = torch.get_rng_state()
        model = models.load_model(MODEL, config)
        assert torch.equal(torch.get_rng_state(), state)
        made.append({n: w for n, w in model.named_parameters() if "lora_A" in n})
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not any(torch.equal(made[0][name], made[2][name]) for name in made[0])


def test_adapters_that_fit_nowhere_are_refused(small: Config) -> None:
    config = changed(small, lora=LoraConfig(modules="nothing")).train
    with pytest.raises(TaskError, match="no adapter fits: .*set train.lora.modules"):
        models.load_model(MODEL, config)


def test_a_model_without_a_chat_template_is_refused(
    examples: Path, small: Config, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(MODEL_DIR, bare, ignore=shutil.ignore_patterns("chat_template.jinja"))
    with pytest.raises(TaskError, match=f"model {bare}: has no chat template"):
        train(str(bare), examples, tmp_path / "out", small)


def test_a_model_that_is_not_there_is_refused(
    examples: Path, small: Config, tmp_path: Path
) -> None:
    with pytest.raises(TaskError, match="cannot be loaded") as caught:
        train(str(tmp_path / "none"), examples, tmp_path / "out", small)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", ["trl", "peft"])
def test_a_missing_package_is_named_with_the_extra(
    package: str, examples: Path, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = models.find_spec
    monkeypatch.setattr(models, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(TaskError, match=rf"package {package} is missing: pip install .*\[csp\]"):
        train(MODEL, examples, tmp_path, small)


def test_no_stage_at_all_is_refused(examples: Path, small: Config, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="are both null"):
        train(MODEL, examples, tmp_path, changed(small, sft=None, simpo=None))


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "csp.json").write_text("{}")
    with pytest.raises(TaskError, match="csp.json: not a record of training"):
        trained_images(str(tmp_path))
