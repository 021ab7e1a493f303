"""SimPO's loss: by hand, against TRL's on text, and as what a step lowers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForImageTextToText, AutoProcessor, Trainer, TrainingArguments

from vlm_confidence_tasks.calibration.config import Config
from vlm_confidence_tasks.calibration.data import load_examples
from vlm_confidence_tasks.calibration.simpo import (
    SimPOTrainer,
    mean_log_probability,
    simpo_loss,
)
from vlm_confidence_tasks.calibration.stages import simpo_trainer
from vlm_confidence_tasks.sandbox import MODEL_DIR


def test_three_pairs_by_hand() -> None:
    chosen, rejected = torch.tensor([-1.0, -2.0, -0.5]), torch.tensor([-2.0, -1.0, -0.5])
    # beta (w - l) - margin: 2 - 1 = 1, -2 - 1 = -3, 0 - 1 = -1
    by_hand = [math.log(1 + math.exp(-x)) for x in (1.0, -3.0, -1.0)]
    assert by_hand == pytest.approx([0.313262, 3.048587, 1.313262], abs=1e-6)
    found = [
        float(simpo_loss(better[None], worse[None], 2.0, 1.0))
        for better, worse in zip(chosen, rejected, strict=True)
    ]
    assert found == pytest.approx(by_hand, abs=1e-6)
    assert float(simpo_loss(chosen, rejected, 2.0, 1.0)) == pytest.approx(sum(by_hand) / 3)


def test_the_mean_is_over_the_answers_tokens_alone() -> None:
    probabilities = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [1, 0, 0]])
    logits = (probabilities + 1e-12).log()[None] + 7.0
    tokens, mask = torch.tensor([[0, 1, 2, 0]]), torch.tensor([[0, 0, 1, 1]])
    # The token at 2 is said after position 1 (0.5), that at 3 after position 2 (0.1).
    by_hand = (math.log(0.5) + math.log(0.1)) / 2
    assert float(mean_log_probability(logits, tokens, mask)) == pytest.approx(by_hand)


PAIRS = [("Is it red?", "90%", "10%"), ("Is it a star?", "20%", "80%"), ("Two?", "100%", "0%")]
BETA, MARGIN = 2.0, 1.0


@pytest.fixture
def tiny() -> tuple[object, object]:
    """The packaged model and its processor."""
    model = AutoModelForImageTextToText.from_pretrained(MODEL_DIR, dtype=torch.float32)
    return model.eval(), AutoProcessor.from_pretrained(MODEL_DIR)


def test_the_loss_is_trls_on_text(
    tiny: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    model, processor = tiny
    rows = [
        {"prompt": f"USER: {q} ASSISTANT:", "chosen": f" {w}", "rejected": f" {r}"}
        for q, w, r in PAIRS
    ]
    theirs = CPOTrainer(
        model=model,
        args=CPOConfig(
            output_dir=str(tmp_path),
            loss_type="simpo",
            cpo_alpha=0.0,
            beta=BETA,
            simpo_gamma=MARGIN,
            max_length=None,
            per_device_train_batch_size=3,
            report_to=[],
            use_cpu=True,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=processor.tokenizer,
    )
    batch = theirs.data_collator([theirs.train_dataset[i] for i in range(3)])
    both = theirs.concatenated_inputs(batch)
    expected, _ = theirs.get_batch_loss_metrics(model, batch)
    ids, labels = both["concatenated_input_ids"], both["concatenated_labels"]
    ours = mean_log_probability(
        model(input_ids=ids, attention_mask=both["concatenated_attention_mask"]).logits,
        ids,
        labels != -100,
    )
    assert float(simpo_loss(*ours.chunk(2), BETA, MARGIN)) == pytest.approx(
        float(expected), abs=1e-5
    )


def _loss_and_lead(trainer: SimPOTrainer, batch: dict) -> tuple[float, float]:
    """The loss, and by how much the chosen answers are likelier than the rejected, in nats."""
    trainer.model.eval()
    with torch.no_grad():
        loss, outputs = trainer.compute_loss(trainer.model, batch, return_outputs=True)
    scores = mean_log_probability(outputs.logits, batch["input_ids"], batch["completion_mask"])
    half = len(scores) // 2
    return float(loss), float((scores[:half] - scores[half:]).mean())


def test_one_step_lowers_the_loss_and_makes_the_chosen_likelier(
    tiny: tuple, examples: Path, small: Config, tmp_path: Path
) -> None:
    model, processor = tiny
    rows = load_examples(examples)
    stage = small.train.simpo
    trainer = simpo_trainer(model, processor, rows, stage, small.train, tmp_path)
    assert len(trainer.train_dataset) == sum(r is not None for r in rows["rejected"]) < len(rows)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(8)])
    loss, lead = _loss_and_lead(trainer, batch)
    model.train()
    trainer.compute_loss(model, batch).backward()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.grad is not None:
                weights -= 1e-3 * weights.grad
    after = _loss_and_lead(trainer, batch)
    assert after[0] < loss and after[1] > lead


def test_gradients_of_passes_in_a_step_are_averaged(
    tiny: tuple, examples: Path, tmp_path: Path
) -> None:
    model, processor = tiny
    rows = load_examples(examples).select(range(0))
    made = SimPOTrainer(
        model=model,
        args=TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[]),
        train_dataset=rows,
        beta=BETA,
        margin=MARGIN,
    )
    plain = Trainer(model=model, args=made.args, train_dataset=rows)
    # What the Trainer decides by the model's signature, which asks for no division.
    assert plain.model_accepts_loss_kwargs and not made.model_accepts_loss_kwargs
