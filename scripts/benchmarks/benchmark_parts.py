"""What benchmarks share: local data, a model with random weights, and measuring in turn."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

# Before the harness is imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import datasets
import numpy as np
import torch
from lmms_eval.models.chat.llava_hf import LlavaHf
from lmms_eval.tasks import TaskManager, get_task_dict
from PIL import Image
from transformers import (
    AutoProcessor,
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from vlm_confidence_tasks.harness import plugin
from vlm_confidence_tasks.probe import replaced
from vlm_confidence_tasks.sandbox import MODEL_DIR

TASK = "pope_eps0.3"
THINGS = ("snowboard", "dining table", "car", "person", "traffic light", "bowl", "chair")
# Sizes of the model's parts.
TEXT = {"hidden_size": 512, "intermediate_size": 1376, "max_position_embeddings": 1024}
VISION = {
    "hidden_size": 256,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
}


def write_data(
    folder: Path, questions: int, of_an_image: int, size: tuple[int, int] = (640, 480)
) -> None:
    """Write POPE-like local data: questions about JPEGs of random blocks of colour."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(questions):
        if number % of_an_image == 0:
            blocks = rng.integers(0, 256, (size[1] // 16, size[0] // 16, 3), dtype=np.uint8)
            stored = io.BytesIO()
            Image.fromarray(blocks).resize(size).save(stored, "JPEG")
        thing = f"{THINGS[number % of_an_image % len(THINGS)]} {number % of_an_image}"
        rows.append(
            {
                "question_id": str(number),
                "question": f"Is there a {thing} in the image?",
                "answer": "yes" if number % 2 else "no",
                "image_source": f"image{number // of_an_image}",
                "category": "random",
                "image": {"bytes": stored.getvalue(), "path": None},
            }
        )
    features = datasets.Features(
        {name: datasets.Value("string") for name in rows[0]} | {"image": datasets.Image()}
    )
    (folder / "pope").mkdir(parents=True)
    written = datasets.Dataset.from_list(rows, features=features)
    written.to_parquet(str(folder / "pope" / "test.parquet"))


def write_model(
    folder: Path, text: Mapping[str, int] = TEXT, vision: Mapping[str, int] = VISION
) -> None:
    """Save a random-weight LLaVA-1.5 in small: 336 px, patch 14, 576 image tokens.

    Args:
        folder: Where to.
        text: Sizes of the language model.
        vision: Sizes of the vision tower.
    """
    torch.manual_seed(0)
    processor = AutoProcessor.from_pretrained(MODEL_DIR)
    processor.image_processor = CLIPImageProcessor(
        size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}
    )
    processor.patch_size = 14
    tiny = LlavaConfig.from_pretrained(MODEL_DIR)
    sizes = {"vocab_size": tiny.text_config.vocab_size, **text}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**vision, image_size=336, patch_size=14),
        text_config=LlamaConfig(**sizes, num_attention_heads=8, num_hidden_layers=8),
        image_token_index=tiny.image_token_index,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)


def load_task(data: Path, new_tokens: int, name: str = TASK) -> Any:
    """Build a task on local data, with short answers."""
    os.environ["VLM_CONFIDENCE_DATA"] = str(data)
    plugin.manifests()
    task = get_task_dict([name], TaskManager("WARNING", include_defaults=False), "chat")[name]
    task.config.generation_kwargs["max_new_tokens"] = new_tokens
    return task


def stock_adapter(folder: Path) -> Any:
    """Load a written model on lmms-eval's adapter."""
    return LlavaHf(str(folder), device="cpu", device_map="cpu", dtype="float32")


def in_turn(ways: Mapping[str, Callable[[int], float]], rounds: int) -> dict[str, list[float]]:
    """Measure each way in each round, so that all see the same machine, in changing order."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            found[name].append(ways[name](number))
    return found


@contextmanager
def timed(
    parts: Mapping[str, tuple[Any, str]], clock: Callable[[], float] = time.perf_counter
) -> Iterator[dict[str, float]]:
    """Add up the seconds that functions take, by the name of their part."""
    seconds = dict.fromkeys(parts, 0.0)

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            begun = clock()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[name] += clock() - begun

        return counted

    with ExitStack() as stack:
        for name, (where, attribute) in parts.items():
            function = counting(name, getattr(where, attribute))
            stack.enter_context(replaced(where, attribute, function))
        yield seconds


def peak() -> float:
    """Return the peak resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def printed_by(script: str, *arguments: str) -> list[float]:
    """Run a script in a process of its own; return the numbers in its last line."""
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [float(word) for word in done.stdout.splitlines()[-1].split()]
