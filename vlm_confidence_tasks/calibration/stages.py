"""The stages of training: supervised, then on preferences."""

import math
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import Trainer, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import get_last_checkpoint

from vlm_confidence_tasks.calibration.config import SimPOConfig, StageConfig, TrainConfig
from vlm_confidence_tasks.calibration.simpo import SimPOTrainer

Losses = list[tuple[int, float, float]]


def sft_trainer(
    model: Any,
    processor: Any,
    examples: datasets.Dataset,
    stage: StageConfig,
    config: TrainConfig,
    folder: Path,
) -> Trainer:
    """Return TRL's trainer on prompt and chosen answer, whose tokens alone are learned.

    Examples are as `data.load_examples` reads them; checkpoints go to the folder.
    """
    from trl import SFTConfig, SFTTrainer

    rows = examples.select_columns(["image", "prompt", "chosen"])
    return SFTTrainer(
        model=model,
        args=SFTConfig(
            **_arguments(stage, config, folder, len(rows)),
            max_length=None,
            completion_only_loss=True,
        ),
        train_dataset=rows.rename_column("chosen", "completion"),
        processing_class=processor,
    )


def simpo_trainer(
    model: Any,
    processor: Any,
    examples: datasets.Dataset,
    stage: SimPOConfig,
    config: TrainConfig,
    folder: Path,
) -> Trainer:
    """Return a trainer on chosen and rejected answers; examples without a pair are left out."""
    from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

    rows = examples.select_columns(["image", "prompt", "chosen", "rejected"])
    pairs = [row for row, other in enumerate(examples["rejected"]) if other]
    rows = rows.select(pairs)
    return SimPOTrainer(
        model=model,
        args=TrainingArguments(
            **_arguments(stage, config, folder, len(rows)), remove_unused_columns=False
        ),
        train_dataset=rows,
        data_collator=DataCollatorForVisionPreference(processor),
        beta=stage.beta,
        margin=stage.margin,
    )


def _arguments(
    stage: StageConfig, config: TrainConfig, folder: Path, examples: int
) -> dict[str, Any]:
    """Return the Trainer's arguments; the number of steps is the same on any machine."""
    together = stage.batch_size * stage.accumulation
    steps = stage.steps or max(1, math.ceil(stage.epochs * examples / together))
    return {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": stage.batch_size,
        "gradient_accumulation_steps": stage.accumulation,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": math.ceil(stage.warmup * steps),
        "gradient_checkpointing": config.gradient_checkpointing,
        "bf16": config.dtype == "bfloat16" and torch.cuda.is_available(),
        "use_cpu": not torch.cuda.is_available(),
        "logging_steps": max(1, steps // 100),
        "save_steps": stage.save_steps,
        "save_total_limit": 2,
        "seed": config.seed,
        "report_to": [],
    }


def run_stage(trainer: Trainer, folder: Path, resume: bool) -> Losses:
    """Train, perhaps from the last checkpoint, and return (step, loss, learning rate)."""
    last = get_last_checkpoint(str(folder)) if resume and folder.is_dir() else None
    state = None
    if last is not None:
        _restore(trainer.model, last)
        state = TrainerState.load_from_json(str(Path(last) / TRAINER_STATE_NAME))
    # From a stage's last step the Trainer would take one more.
    if state is None or state.global_step < trainer.args.max_steps:
        trainer.train(resume_from_checkpoint=last)
        state = trainer.state
    return [
        (int(entry["step"]), float(entry["loss"]), float(entry["learning_rate"]))
        for entry in state.log_history
        if "loss" in entry
    ]


def _restore(model: Any, checkpoint: str) -> None:
    """Load a checkpoint's weights, or adapters.

    The Trainer passes over weights that a class saves under other names than it gives them in
    memory, as LLaVA's does, and goes on from what the model has, with a warning about keys.
    """
    if hasattr(model, "peft_config"):
        from peft import load_peft_weights, set_peft_model_state_dict

        set_peft_model_state_dict(model, load_peft_weights(checkpoint))
    else:
        kept = type(model).from_pretrained(checkpoint, dtype=model.dtype)
        model.load_state_dict(kept.state_dict())
