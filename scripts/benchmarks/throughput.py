"""Answers a second where questions share their image, against the stock adapter.

    python scripts/benchmarks/throughput.py            # four shapes, goals and figures side by side
    python scripts/benchmarks/throughput.py --shapes 18 --rounds 5
    python scripts/benchmarks/throughput.py --memory   # peak memory at 18 questions an image

A random-weight LLaVA with 576 image tokens (39 million weights, float32) answers questions about
640 x 480 JPEGs, clean and at epsilon 0.3, from the documents to the Readouts; start-up is left
out, and so is the first block, which is checked. The stock adapter is lmms-eval's `llava_hf` in
the same evaluation. Both are run in turn, and the medians over the rounds are compared. The
limit is what a product of 2,048 x 2,048 matrices reaches in the same run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmark_parts import (
    TASK,
    in_turn,
    load_task,
    peak,
    printed_by,
    stock_adapter,
    timed,
    write_data,
    write_model,
)
from vlm_confidence_tasks import probe
from vlm_confidence_tasks.harness.session import Session
from vlm_confidence_tasks.harness.task import IMAGES
from vlm_confidence_tasks.models.llava import Llava
from vlm_confidence_tasks.models.shared_prefix import answering

# A short answer and the end token: POPE's "Yes", and how lmms-eval's shapes are named.
NEW_TOKENS = 3
# Questions an image -> benchmark, and the goals: whole path and model's part, times the stock's.
SHAPES = {
    18: ("POPE", 10.0, 12.0),
    14: ("AMBER", None, None),
    3: ("SEED", None, None),
    1: ("MMMU", 1.0, None),
}
LIMIT_SHARE, MEMORY = 0.6, 1.3
# 39 million weights.
TEXT = {
    "vocab_size": 4096,
    "hidden_size": 512,
    "intermediate_size": 1408,
    "max_position_embeddings": 4096,
}
VISION = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
}


def evaluated(task: Any, adapter: Any, start: int, count: int) -> float:
    """Return how long some documents take, from the requests to the Readouts."""
    with Session(adapter, [task]):
        task.build_all_requests(limit=count, offset=start, rank=0, world_size=1)
        requests = list(task.instances)
        begun = time.perf_counter()
        adapter.generate_until(requests)
        return time.perf_counter() - begun


def prompts_of(task: Any, adapter: Any, questions: int) -> list[Any]:
    """Return the processed prompts of the questions about one image."""
    with Session(adapter, [task]):
        task.build_all_requests(limit=questions, rank=0, world_size=1)
    requests = [item for item in task.instances if str(item.request.variant) == "clean"]
    adapter.task_dict[TASK] = {
        "test": {
            item.request.index: task.documents.text[item.request.document]
            | {IMAGES: task.documents.images(item.request.document)}
            for item in requests
        }
    }
    prompts: list[Any] = adapter._prompts(list(adapter._turns(requests)))
    return prompts


def model_parts(adapter: Any, prompts: list[Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return the model's part on both ways: generate() alone, and shared prefixes measured."""
    arguments = adapter._settings({"max_new_tokens": NEW_TOKENS})
    rows = [[probe.Row(("Yes", "No")) for _ in prompts]]
    adapter._shared._chosen[(repr(sorted(arguments.items())), False, False)] = "packed"

    def alone() -> None:
        for prompt in prompts:
            adapter.model.generate(**prompt.inputs, **arguments)

    return alone, lambda: adapter._shared.answer([prompts], rows, arguments)


def flops(model: Any, prefix: int, own: list[int]) -> float:
    """Count the operations that a block of questions needs: weights and attention, once each."""
    vision, text = model.model.vision_tower, model.model.language_model
    config = text.config
    weights = sum(p.numel() for layer in text.layers for p in layer.parameters())
    answered = len(own) * (NEW_TOKENS - 1)
    seen = prefix * prefix / 2 + sum(n * (prefix + n / 2) for n in own) + answered * prefix
    tower = sum(p.numel() for p in vision.parameters())
    projector = sum(p.numel() for p in model.model.multi_modal_projector.parameters())
    side = vision.config
    return (
        2 * tower * 577
        + 4 * side.hidden_size * side.num_hidden_layers * 577 * 577
        + 2 * projector * 576
        + 2 * weights * (prefix + sum(own) + answered)
        + 4 * config.hidden_size * config.num_hidden_layers * seen
        + 2 * config.vocab_size * config.hidden_size * len(own) * NEW_TOKENS
    )


def seconds_of(run: Callable[[], Any], times: int = 1) -> float:
    """Return how long some calls take."""
    begun = time.perf_counter()
    for _ in range(times):
        run()
    return time.perf_counter() - begun


def product_rate(times: int = 10) -> float:
    """Return the operations a second of a product of two 2,048 x 2,048 matrices."""
    one = torch.randn(2048, 2048)
    one @ one
    return times * 2 * 2048**3 / seconds_of(lambda: one @ one, times)


def shown(name: str, figure: float, goal: float | None, unit: str) -> str:
    """Return a line with a figure and its goal."""
    wanted = "" if goal is None else f"   goal {goal:g}{unit}"
    return f"  {name:<42} {figure:8.2f}{unit}{wanted}"


def measure_shape(folder: Path, questions: int, rounds: int, images: int) -> None:
    """Print the figures of one shape."""
    benchmark, whole_goal, model_goal = SHAPES.get(questions, ("", None, None))
    count = images * questions
    write_data(folder / f"data{questions}", count * (rounds + 1), questions)
    task = load_task(folder / f"data{questions}", NEW_TOKENS)
    stock, shared = stock_adapter(folder / "model"), Llava(str(folder / "model"), device="cpu")
    parts = {
        "image and prefix": (answering, "read_prefix"),
        "questions": (answering, "read_prompts"),
        "answers": (answering, "decode"),
        "prompts (a thread, ahead)": (shared, "_prompts"),
    }
    # The first round is checked against generate(), and warms both up.
    for adapter in (stock, shared):
        evaluated(task, adapter, 0, count)
    ways = {
        "stock": lambda turn: evaluated(task, stock, (turn + 1) * count, count),
        "shared": lambda turn: evaluated(task, shared, (turn + 1) * count, count),
    }
    with timed(parts) as spent:
        seconds = in_turn(ways, rounds)
    answers = 2 * count
    slow, fast = (statistics.median(seconds[name]) for name in ("stock", "shared"))
    print(f"{benchmark}'s shape, {questions} questions an image, {answers} answers a round")
    print(shown("stock llava_hf, answers a second", answers / slow, None, ""))
    print(shown("hf_multimodal, answers a second", answers / fast, None, ""))
    print(shown("whole path, times the stock adapter's", slow / fast, whole_goal, "x"))
    if questions > 1:
        total = sum(seconds["shared"])
        for name, took in spent.items():
            print(shown(f"share of the time: {name}", 100 * took / total, None, "%"))
        measure_model(task, shared, questions, rounds, model_goal)


def measure_model(task: Any, adapter: Any, questions: int, rounds: int, goal: float | None) -> None:
    """Print the figures of the model's part, and what of the machine it uses."""
    prompts = prompts_of(task, adapter, questions)
    alone, together = model_parts(adapter, prompts)
    alone(), together()
    ways = {"alone": alone, "together": together}
    timers = {name: lambda _, run=run: seconds_of(run) for name, run in ways.items()}
    found = in_turn(timers | {"products": lambda _: product_rate()}, rounds)
    slow, fast, rate = (statistics.median(found[name]) for name in (*ways, "products"))
    prefix = adapter._shared.prefix_length(prompts)
    own = [len(prompt.tokens) - prefix for prompt in prompts]
    needed = flops(adapter.model, prefix, own)
    print(shown("model's part, times generate()", slow / fast, goal, "x"))
    print(f"  prefix {prefix} tokens, questions {sum(own) / len(own):.1f}, answers {NEW_TOKENS}")
    print(f"  {needed / 1e9:.0f} GFLOP a block, products run at {rate / 1e9:.0f} GFLOP/s")
    print(shown("limit by products, answers a second", questions * rate / needed, None, ""))
    print(shown("share of that limit", needed / rate / fast, LIMIT_SHARE, ""))


def measure_memory() -> None:
    """Print the peak resident memory of both ways at 18 questions an image."""
    peaks = {}
    for way in ("false", "true"):
        before, peaks[way] = printed_by(__file__, "--peak", way)
        print(f"shared_prefix={way}: {before:.0f} MiB loaded, peak {peaks[way]:.0f} MiB")
    print(shown("peak, times the plain path's", peaks["true"] / peaks["false"], MEMORY, "x"))


def print_peak(folder: Path, way: str) -> None:
    """Evaluate 18 questions about each of two images, and print memory before and at its peak."""
    write_data(folder / "data", 36, 18)
    task = load_task(folder / "data", NEW_TOKENS)
    adapter = Llava(str(folder / "model"), device="cpu", shared_prefix=way == "true")
    before = peak()
    evaluated(task, adapter, 0, 36)
    print(before, peak())


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", type=int, nargs="+", default=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2, help="of a round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        measure_memory()
        return
    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name) / "model", TEXT, VISION)
        if options.peak:
            print_peak(Path(name), options.peak)
            return
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        for questions in options.shapes:
            measure_shape(Path(name), questions, options.rounds, options.images)


if __name__ == "__main__":
    main()
