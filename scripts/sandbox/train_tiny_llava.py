"""Train the sandbox's tiny LLaVA from nothing, on a CPU, with fixed seeds.

    python scripts/sandbox/train_tiny_llava.py --output vlm_confidence_tasks/sandbox/model

Every row holds one set of images and many lessons. A block mask lets a lesson see the
images and itself but no other lesson, so the model is trained on exactly the
conversations that evaluation holds with it. Questions alone stay at chance for a long
time. So images come first, on their own, until the features of each patch resemble the
words for what it shows; then drills, which ask a dozen things in the tokens of one
question; then everything. All images are moved, scaled and a little noisy, as a
camera's are, since evaluation moves them too (`tiny_world/camera.py`).

Small batches want a small rate: of drills alone in batches of 4 rows, four minutes on one core
taught what goes with a colour or shape to 97% at a rate of 5e-4, and to 51% at 2e-3.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

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
from tiny_world.muon import Muon
from tiny_world.packing import IGNORED, Packed, Packer
from vlm_confidence_tasks.cli.options import positive
from vlm_confidence_tasks.sandbox.render import SIDE
from vlm_confidence_tasks.sandbox.world import EVALUATION

# Images in a step of looking, and its peak learning rate.
LOOKED_AT, LOOKING_RATE = 64, 3e-3
# Root of the seeds; packaged scenes have another (EVALUATION), so none is trained on.
TRAINING = 1
PATCH = 16
PATCHES = (SIDE // PATCH) ** 2
# Centred on the usual background, empty patches are near zero and shapes stand out;
# centred on mid-grey, every patch looks alike to an untrained model.
MEAN, STD = 0.9, 0.3
PAD = "<pad>"
HEAD = 32
"""Width of an attention head of the language model."""


@dataclass(frozen=True)
class Size:
    """Widths and depths of the language model and of the vision tower."""

    width: int
    layers: int
    vision_width: int
    vision_layers: int


# About 0.2, 0.8, 2.6 and 8 million parameters; m is the one to package.
SIZES = {
    "xs": Size(64, 2, 48, 2),
    "s": Size(96, 3, 96, 3),
    "m": Size(128, 4, 192, 4),
    "l": Size(224, 5, 288, 5),
}
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


def build_model(tokenizer: PreTrainedTokenizerFast, size: Size) -> LlavaForConditionalGeneration:
    """Build the model with random weights; nothing of it is frozen."""
    eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    vision = CLIPVisionConfig(
        hidden_size=size.vision_width,
        intermediate_size=3 * size.vision_width,
        num_hidden_layers=size.vision_layers,
        num_attention_heads=max(2, size.vision_width // HEAD),
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=size.vision_width,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=3 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.width // HEAD,
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


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Scale images as the processor does: uint8, (images, side, side, 3), channels first."""
    return (images.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


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
        """Make the tensors."""
        blocks = torch.from_numpy(packed.blocks)
        allowed = (blocks[:, :, None] == blocks[:, None, :]) | (blocks == 0)[:, None, :]
        names = ("tokens", "positions", "targets", "lengths", "seen")
        return cls(
            pixels=scaled(torch.from_numpy(packed.images)),
            mask=allowed.tril()[:, None],
            **{name: torch.from_numpy(getattr(packed, name)) for name in names},
        )


def look(model: LlavaForConditionalGeneration, pixels: torch.Tensor) -> Any:
    """Return the features of images as the language model gets them."""
    return model.model.get_image_features(
        pixels,
        vision_feature_layer=model.config.vision_feature_layer,
        vision_feature_select_strategy=model.config.vision_feature_select_strategy,
        return_dict=True,
    )


def naming_loss(
    model: LlavaForConditionalGeneration, images: Any, seen: torch.Tensor
) -> torch.Tensor:
    """Return the mean negative log-probability of the words for what each patch shows.

    Patches are read as if they were words: features that resemble words are the
    shortest way to make a language model look at them.
    """
    patches = torch.stack(list(images.pooler_output))
    logits = model.lm_head(model.model.language_model.norm(patches))
    return -logits.log_softmax(-1).gather(-1, seen).mean()


def answer_logits(model: LlavaForConditionalGeneration, batch: Batch, images: Any) -> torch.Tensor:
    """Return the logits where an answer is learned."""
    hidden = model.model(
        input_ids=batch.tokens,
        mm_encoder_outputs={"image": images},
        attention_mask=batch.mask,
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    return model.lm_head(hidden[batch.targets != IGNORED])


def loss_of(model: LlavaForConditionalGeneration, batch: Batch, naming: float) -> torch.Tensor:
    """Cross-entropy of the answers, and `naming` times that of the words for each patch.

    An answer counts as the root of its length, or captions would drown the letters.
    """
    images = look(model, batch.pixels)
    learned = batch.targets != IGNORED
    weights = batch.lengths[learned] ** -0.5
    answers = answer_logits(model, batch, images)
    losses = cross_entropy(answers, batch.targets[learned], reduction="none")
    return (losses * weights).sum() / weights.sum() + naming * naming_loss(
        model, images, batch.seen
    )


@torch.inference_mode()
def held_out(
    model: LlavaForConditionalGeneration,
    packer: Packer,
    rows: Sequence[Row],
    camera: np.random.Generator | None,
) -> dict[str, float]:
    """Share of lessons of each kind whose whole answer is the greedy one."""
    right: dict[str, list[bool]] = {}
    for start in range(0, len(rows), 16):
        part = rows[start : start + 16]
        packed = packer.pack(part, camera)
        batch = Batch.of(packed)
        wrong = torch.zeros_like(batch.targets, dtype=torch.bool)
        learned = batch.targets != IGNORED
        logits = answer_logits(model, batch, look(model, batch.pixels))
        wrong[learned] = logits.argmax(-1) != batch.targets[learned]
        for place, row in enumerate(part):
            for number, lesson in enumerate(row.lessons, start=1):
                block = packed.blocks[place] == number
                # A lesson without a question, as where a scene has none of its kind.
                if bool(learned[place, block].any()):
                    missed = bool(wrong[place, block].any())
                    right.setdefault(lesson.kind, []).append(not missed)
    return {kind: float(np.mean(found)) for kind, found in right.items()}


def report(model: LlavaForConditionalGeneration, packer: Packer, count: int) -> None:
    """Print the held-out table, from scenes of a root that training never draws from."""
    rng = np.random.default_rng([EVALUATION, 99])
    rows = [make(rng) for make in COURSES for _ in range(count)]
    model.eval()
    for name, camera in (("held out", None), ("moved", rng)):
        table = held_out(model, packer, rows, camera)
        print(f"{name}: " + ", ".join(f"{k} {v:.3f}" for k, v in table.items()), flush=True)
    model.train()


def course(step: int, steps: int) -> int:
    """Index of the course of a step: drills on one image, then on several, then everything.

    Without drills on several images, exams leave which one shows an object at chance. What is
    learned last is an option's letter, so exams come most often.
    """
    progress = step / steps
    if progress < 0.18:
        return 0
    return (1, 1, 2)[step % 3] if progress < 0.447 else (3, 2, 3, 2, 3, 1, 3, 2)[step % 8]


def batches(
    seed: int, rows: int, packer: Packer, make: Callable[[np.random.Generator], Row]
) -> Iterator[Batch]:
    """Yield batches without end, a function of the seed alone."""
    step = 0
    while True:
        rng = np.random.default_rng([TRAINING, seed, COURSES.index(make), step])
        yield Batch.of(packer.pack([make(rng) for _ in range(rows)], camera=rng))
        step += 1


def rate(step: int, steps: int, warmup: int = 100) -> float:
    """Share of the peak rate: a linear warm-up, then a cosine down to a fiftieth."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def optimizers_of(
    model: LlavaForConditionalGeneration, peak: float, looking: bool = False
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings, norms and biases.

    Once it has learned to look, the vision tower's matrices have AdamW as well, at half the
    rate: Muon on them takes a fifth of a step's time, and drills were not learned sooner.
    """
    named = list(model.named_parameters())
    seen = [] if looking else [p for n, p in named if "vision_tower" in n]
    rest = [(n, p) for n, p in named if looking or "vision_tower" not in n]
    inner = [p for n, p in rest if p.ndim == 2 and "embed" not in n]
    outer = [p for n, p in rest if p.ndim != 2 or "embed" in n]
    groups = [{"params": outer}, *([{"params": seen, "lr": peak / 2}] if seen else [])]
    return [
        Muon(inner, lr=2 * peak),
        torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def save(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, folder: Path
) -> LlavaForConditionalGeneration:
    """Write model and processor, and return the model as its float16 weights have it."""
    halved = copy.deepcopy(model).half()
    halved.save_pretrained(folder)
    processor.save_pretrained(folder)
    return halved.float()


def descend(
    model: LlavaForConditionalGeneration,
    loss: torch.Tensor,
    parts: Sequence[torch.optim.Optimizer | LambdaLR],
) -> None:
    """Take one step of optimizers and schedules against the loss, its gradient clipped to 1."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for part in parts:
        part.step()


def learn_to_look(
    model: LlavaForConditionalGeneration, packer: Packer, args: argparse.Namespace
) -> None:
    """Teach the vision tower to name patches, without the language model's layers.

    Images alone cost a fraction of lessons on them, and lessons on features that say
    nothing yet teach next to nothing.
    """
    optimizers, start = optimizers_of(model, LOOKING_RATE, looking=True), time.monotonic()
    schedules = [LambdaLR(o, lambda step: rate(step, args.looks)) for o in optimizers]
    for step in range(args.looks):
        rng = np.random.default_rng([TRAINING, args.seed, len(COURSES), step])
        pixels, seen = (torch.from_numpy(part) for part in packer.looks(rng, LOOKED_AT))
        loss = naming_loss(model, look(model, scaled(pixels)), seen)
        descend(model, loss, (*optimizers, *schedules))
        if (step + 1) % 100 == 0:
            spent = time.monotonic() - start
            print(f"look {step + 1} loss {loss.item():.4f}, {spent:.0f} s", flush=True)


def train(model: LlavaForConditionalGeneration, packer: Packer, args: argparse.Namespace) -> None:
    """Run the steps of lessons, and print how it goes."""
    optimizers, start = optimizers_of(model, args.lr), time.monotonic()
    schedules = [LambdaLR(o, lambda step: rate(step, args.steps)) for o in optimizers]
    courses = [batches(args.seed, args.rows, packer, make) for make in COURSES]
    kept: list[list[float]] = [[] for _ in courses]
    for step in range(args.steps):
        number = course(step, args.steps)
        loss = loss_of(model, next(courses[number]), naming=0.2 if number else 1.0)
        descend(model, loss, (*optimizers, *schedules))
        kept[number].append(loss.item())
        if (step + 1) % 100 == 0:
            spent = time.monotonic() - start
            means = [f"{np.mean(losses[-50:] or [math.nan]):.4f}" for losses in kept]
            print(f"step {step + 1} loss {' '.join(means)}, {spent:.0f} s", flush=True)
        if (step + 1) % 500 == 0:
            report(model, packer, 16)


def record(
    args: argparse.Namespace, model: LlavaForConditionalGeneration, start: float
) -> dict[str, Any]:
    """Return how a model was made and what that took, for training.json."""
    return {
        "size": args.size,
        "parameters": model.num_parameters(),
        "seed": args.seed,
        "looks": args.looks,
        "steps": args.steps,
        "rows": args.rows,
        "learning_rate": args.lr,
        "threads": args.threads,
        "seconds": round(time.monotonic() - start),
        "processor_seconds": round(time.process_time()),
    }


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--size", choices=list(SIZES), default="m")
    parser.add_argument("--steps", type=positive, default=4700, help="of lessons")
    parser.add_argument("--looks", type=positive, default=400, help="steps of images alone, before")
    parser.add_argument("--rows", type=positive, default=4, help="rows in a batch")
    parser.add_argument("--lr", type=float, default=6e-4, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0, help="0 or more")
    parser.add_argument("--threads", type=positive, default=2, help="of torch")
    parser.add_argument(
        "--check", type=positive, default=200, help="held-out rows a course at the end"
    )
    args = parser.parse_args(argv)
    if not 0 <= args.seed < 2**63:
        parser.error(f"--seed must be 0 or more and below 2**63, got {args.seed}")
    if not 0 < args.lr < math.inf:
        parser.error(f"--lr must be above 0, got {args.lr}")
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--output {args.output}: {error.strerror}; give a folder")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Train, save in float16, and print the table of the model as saved."""
    args, start = parse(argv), time.monotonic()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    tokenizer = build_tokenizer(args.seed)
    processor, model = build_processor(tokenizer), build_model(tokenizer, SIZES[args.size])
    packer = Packer(
        partial(tokenizer.encode, add_special_tokens=False), tokenizer.pad_token_id, PATCH
    )
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens", flush=True)
    learn_to_look(model, packer, args)
    train(model, packer, args)
    saved = save(model, processor, args.output)
    text = json.dumps(record(args, model, start), indent=2)
    (args.output / "training.json").write_text(f"{text}\n")
    print(text)
    report(saved, packer, args.check)


if __name__ == "__main__":
    main()
