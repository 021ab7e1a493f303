"""What an attack costs: gradient steps a second, and against a plain forward and backward pass.

    python scripts/benchmarks/attacks.py [--steps 10] [--repeats 5] [--large] [--batch 6]

Whole attacks (`perturb(..., "pgd")`: preprocessing, gradient, projection, rounding) and plain
passes of the same model on the same prompt, forward and back to `pixel_values`, weights frozen, in
turn in one process on one thread, in its processor time. The ratio is of medians, per step.
`--large` takes a random-weight LLaVA with 576 image tokens and an image of 640 x 480 in place of
the embedded model and an image of its own size.

With `--batch`, what it would gain at most to attack so many questions side by side: plain passes
over so many images with prompts of one length, in one batch against one after another, and the
share of the gradients' signs that differ, of which an attack's steps are made.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from benchmark_parts import in_turn, write_model
from vlm_confidence_tasks.attacks import ModelObjective, PixelPath
from vlm_confidence_tasks.attacks.pixels import KEY, Cost
from vlm_confidence_tasks.attacks.prompt import make_prompt
from vlm_confidence_tasks.perturbations import perturb
from vlm_confidence_tasks.probe import label_tokens
from vlm_confidence_tasks.sandbox import MODEL_DIR
from vlm_confidence_tasks.types import Question

QUESTION = Question("0", "x", "Is there a red circle in the image?", ("Yes", "No"))


def load(folder: Path) -> SimpleNamespace:
    """Load a model and its processor."""
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    return SimpleNamespace(model=model, processor=AutoProcessor.from_pretrained(folder))


def plain(source: Any, images: Sequence[Image.Image]) -> Callable[[], torch.Tensor]:
    """Return one plain pass forward and back, with a row for each image."""
    rows = [make_prompt(source, QUESTION, [image], ()).inputs for image in images]
    inputs = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
    values = inputs[KEY].clone().requires_grad_()
    source.model.requires_grad_(False)

    def run() -> torch.Tensor:
        given = inputs | {KEY: values}
        output = source.model(**given, use_cache=False)
        logprob = output.logits[:, -1].float().log_softmax(-1)
        return torch.autograd.grad((logprob[:, 0] - logprob[:, 1]).sum(), values)[0]

    return run


def attack(source: Any, image: Image.Image, steps: int) -> Callable[[], object]:
    """Return one whole attack."""
    prompt, cost = make_prompt(source, QUESTION, [image], ()), Cost()
    path = PixelPath(source.processor.image_processor, prompt.image_options, [image], 0, cost)
    labels = label_tokens(source.processor.tokenizer, QUESTION.labels)
    judged = ModelObjective(source.model, prompt.inputs, path, labels, "flip", image, cost)
    given = {"objective": judged}
    return lambda: perturb(image, "pgd", epsilon=8 / 255, goal="flip", steps=steps, given=given)


def seconds(call: Callable[[], object], times: int = 1) -> float:
    """Return the processor time of a call, a mean over some."""
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times


def compare_batch(source: Any, images: Sequence[Image.Image], repeats: int) -> str:
    """Compare one pass over all images with one pass for each."""
    together, singles = plain(source, images), [plain(source, [image]) for image in images]

    def apart() -> torch.Tensor:
        return torch.cat([single() for single in singles])

    differ = float((apart().sign() != together().sign()).float().mean())
    ways = {"one": lambda _: seconds(apart), "batch": lambda _: seconds(together)}
    one, batch = map(statistics.median, in_turn(ways, repeats).values())
    return (
        f"{len(images)} rows: one after another {1000 * one:.0f} ms, in one batch "
        f"{1000 * batch:.0f} ms, gain {one / batch:.2f}; gradient signs that differ {differ:.1e}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="576 image tokens, 640 x 480 pixels")
    parser.add_argument("--batch", type=int, help="measure a batch of so many rows instead")
    given = parser.parse_args()
    torch.set_num_threads(1)
    size = (640, 480) if given.large else (64, 64)
    rng = np.random.default_rng(0)
    images = [
        Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
        for _ in range(given.batch or 1)
    ]
    with tempfile.TemporaryDirectory() as folder:
        if given.large:
            write_model(Path(folder))
        source = load(Path(folder) if given.large else MODEL_DIR)
        if given.batch:
            print(compare_batch(source, images, given.repeats))
            return
        pass_, whole = plain(source, images), attack(source, images[0], given.steps)
        pass_(), whole()
        ways = {
            "pass": lambda _: seconds(pass_, given.steps + 1),
            "step": lambda _: seconds(whole) / (given.steps + 1),
        }
        one, step = map(statistics.median, in_turn(ways, given.repeats).values())
    print(f"plain forward and backward pass: {1000 * one:.1f} ms")
    print(f"attack: {1 / step:.1f} gradient steps a second, {1000 * step:.1f} ms each")
    print(f"ratio {step / one:.2f}")


if __name__ == "__main__":
    main()
