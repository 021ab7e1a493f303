"""Train the sandbox's tiny LLaVA from nothing, on a CPU, with fixed seeds.

    python scripts/train_tiny_llava.py --output vlm_confidence_tasks/sandbox/model

Every row holds one set of images and many lessons. A block mask lets a lesson see the
images and itself but no other lesson, so the model is trained on exactly the
conversations that evaluation holds with it. Questions alone stay at chance for a long
time; drills, which ask a dozen things in the tokens of one question, and image
features that are pulled towards the words for what each patch shows, end that soon.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from tiny_world.lessons import CHAT_TEMPLATE, COURSES, END, IMAGE, Row
from tiny_world.packing import IGNORED, Packed, Packer
from vlm_confidence_tasks.sandbox.render import SIDE
from vlm_confidence_tasks.sandbox.world import EVALUATION

# Root of the seeds; packaged scenes have another (EVALUATION), so none is trained on.
TRAINING = 1
PATCH = 16
PATCHES = (SIDE // PATCH) ** 2
WIDTH = 128
# Centred on the usual background, empty patches are near zero and shapes stand out;
# centred on mid-grey, every patch looks alike to an untrained model.
MEAN, STD = 0.9, 0.3
PAD = "<pad>"
SPELLINGS = ("Yes", "No", "yes", "no", "YES", "NO", "A", "B", "C", "D")


def build_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on lessons; every spelling of a label becomes one token."""
    rng = np.random.default_rng([TRAINING, seed, 9])
    rows = [make(rng) for _ in range(300) for make in COURSES]
    texts = ["".join(map("".join, lesson.turns)) for row in rows for lesson in row.lessons]
    texts += [row.opening for row in rows]
    texts += [text for word in SPELLINGS for text in (word, f" {word}")] * 200
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(t, special=True, normalized=False) for t in (PAD, END, IMAGE)]
    trainer = trainers.BpeTrainer(
        vocab_size=768,
        min_frequency=20,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    plain = (text.replace(END, "\n").replace(IMAGE, "\n") for text in texts)
    tokenizer.train_from_iterator(plain, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens={"image_token": IMAGE},
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def build_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Images of any size become 64 by 64, centred on the background; nothing is cropped."""
    side = {"height": SIDE, "width": SIDE}
    images = CLIPImageProcessor(
        size=side,
        crop_size=side,
        do_center_crop=False,
        image_mean=[MEAN] * 3,
        image_std=[STD] * 3,
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    """Build the model with random weights; nothing of it is frozen."""
    eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    vision = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=WIDTH,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=eos,
        pad_token_id=pad,
        tie_word_embeddings=True,
        initializer_range=0.06,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=PATCHES,
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    # CLIP's own 0.02 drowns in the patches' content, and places would not be told apart.
    torch.nn.init.normal_(model.model.vision_tower.embeddings.position_embedding.weight, std=0.3)
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=eos, pad_token_id=pad)
    return model


@dataclass(frozen=True)
class Batch:
    """Packed rows as tensors, and the mask that lets a lesson see the opening and itself."""

    pixels: torch.Tensor
    tokens: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor
    lengths: torch.Tensor
    seen: torch.Tensor

    @classmethod
    def of(cls, packed: Packed) -> Batch:
        """Make the tensors; the images are scaled as the processor scales them."""
        pixels = torch.from_numpy(packed.images).permute(0, 3, 1, 2).float() / 255
        blocks = torch.from_numpy(packed.blocks)
        allowed = (blocks[:, :, None] == blocks[:, None, :]) | (blocks == 0)[:, None, :]
        names = ("tokens", "positions", "targets", "lengths", "seen")
        return cls(
            pixels=(pixels - MEAN) / STD,
            mask=allowed.tril()[:, None],
            **{name: torch.from_numpy(getattr(packed, name)) for name in names},
        )


def forward(
    model: LlavaForConditionalGeneration, batch: Batch
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits where an answer is learned, and those of each patch as if it were a word."""
    images = model.model.get_image_features(
        batch.pixels,
        vision_feature_layer=model.config.vision_feature_layer,
        vision_feature_select_strategy=model.config.vision_feature_select_strategy,
        return_dict=True,
    )
    hidden = model.model(
        input_ids=batch.tokens,
        mm_encoder_outputs={"image": images},
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    norm = model.model.language_model.norm
    patches = torch.stack(list(images.pooler_output))
    return model.lm_head(hidden[batch.targets != IGNORED]), model.lm_head(norm(patches))


def loss_of(model: LlavaForConditionalGeneration, batch: Batch, naming: float) -> torch.Tensor:
    """Cross-entropy of the answers, and `naming` times that of the words for each patch.

    An answer counts as the root of its length, or captions would drown the letters.
    Patches are named after what stands there: features that resemble words are the
    shortest way to make a language model look at them.
    """
    answers, patches = forward(model, batch)
    learned = batch.targets != IGNORED
    weights = batch.lengths[learned] ** -0.5
    losses = cross_entropy(answers, batch.targets[learned], reduction="none")
    named = -patches.log_softmax(-1).gather(-1, batch.seen).mean()
    return (losses * weights).sum() / weights.sum() + naming * named


@torch.inference_mode()
def held_out(
    model: LlavaForConditionalGeneration, packer: Packer, rows: Sequence[Row]
) -> dict[str, float]:
    """Share of lessons of each kind whose whole answer is the greedy one."""
    right: dict[str, list[bool]] = {}
    for start in range(0, len(rows), 16):
        part = rows[start : start + 16]
        packed = packer.pack(part)
        batch = Batch.of(packed)
        wrong = torch.zeros_like(batch.targets, dtype=torch.bool)
        learned = batch.targets != IGNORED
        wrong[learned] = forward(model, batch)[0].argmax(-1) != batch.targets[learned]
        for place, row in enumerate(part):
            for number, lesson in enumerate(row.lessons, start=1):
                missed = bool(wrong[place, packed.blocks[place] == number].any())
                right.setdefault(lesson.kind, []).append(not missed)
    return {kind: float(np.mean(found)) for kind, found in right.items()}


def report(model: LlavaForConditionalGeneration, packer: Packer, count: int) -> None:
    """Print the held-out table, from scenes of a root that training never draws from."""
    rng = np.random.default_rng([EVALUATION, 99])
    rows = [make(rng) for make in COURSES for _ in range(count)]
    model.eval()
    table = held_out(model, packer, rows)
    model.train()
    print("held out: " + ", ".join(f"{k} {v:.3f}" for k, v in table.items()), flush=True)


def course(step: int, steps: int) -> int:
    """Index of the course of a step: first seeing, then everything, exams every second time."""
    if step < steps * 0.25:
        return 0
    return 2 if step > steps * 0.4 and step % 2 == 0 else 1


def batches(
    seed: int, rows: int, packer: Packer, make: Callable[[np.random.Generator], Row]
) -> Iterator[Batch]:
    """Yield batches without end, a function of the seed alone."""
    step = 0
    while True:
        rng = np.random.default_rng([TRAINING, seed, COURSES.index(make), step])
        yield Batch.of(packer.pack([make(rng) for _ in range(rows)]))
        step += 1


def rate(step: int, steps: int, warmup: int = 50) -> float:
    """Share of the peak rate: a linear warm-up, then a cosine down to a fiftieth."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def optimizers_of(model: LlavaForConditionalGeneration, peak: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings, norms and biases."""
    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    outer = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(inner, lr=2 * peak, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(outer, lr=peak, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def save(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, folder: Path
) -> LlavaForConditionalGeneration:
    """Write model and processor, and return the model as its float16 weights have it."""
    halved = copy.deepcopy(model).half()
    halved.save_pretrained(folder)
    processor.save_pretrained(folder)
    return halved.float()


def train(
    model: LlavaForConditionalGeneration,
    packer: Packer,
    args: argparse.Namespace,
    pause: Callable[[], object],
) -> None:
    """Run the steps; print how it goes, and call `pause` now and then."""
    optimizers, start = optimizers_of(model, args.lr), time.monotonic()
    schedules = [LambdaLR(o, lambda step: rate(step, args.steps)) for o in optimizers]
    courses = [batches(args.seed, args.rows, packer, make) for make in COURSES]
    kept: list[list[float]] = [[] for _ in COURSES]
    for step in range(args.steps):
        number = course(step, args.steps)
        loss = loss_of(model, next(courses[number]), naming=0.2 if number else 1.0)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in (*optimizers, *schedules):
            part.step()
        kept[number].append(loss.item())
        if (step + 1) % 50 == 0:
            spent = time.monotonic() - start
            means = [f"{np.mean(losses[-30:] or [math.nan]):.4f}" for losses in kept]
            print(f"step {step + 1} loss {' '.join(means)}, {spent:.0f} s", flush=True)
        if (step + 1) % 200 == 0:
            report(model, packer, 48)
            pause()


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=16, help="rows in a batch")
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--check", type=int, default=200, help="held-out rows a course at the end")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, save in float16, and print the table of the model as saved."""
    args, start = parse(argv), time.monotonic()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    tokenizer = build_tokenizer(args.seed)
    processor, model = build_processor(tokenizer), build_model(tokenizer)
    packer = Packer(
        partial(tokenizer.encode, add_special_tokens=False), tokenizer.pad_token_id, PATCH
    )
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens", flush=True)
    train(model, packer, args, lambda: save(model, processor, args.output))
    report(save(model, processor, args.output), packer, args.check)
    print(f"{time.monotonic() - start:.0f} s in all", flush=True)


if __name__ == "__main__":
    main()
