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
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from overhead import write_model, write_rows

TASK = "pope_eps0.3"
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


def write_data(folder: Path, images: int, questions: int) -> None:
    """Write POPE-like local data: so many questions about each of some photographs' likes."""
    import numpy as np
    from PIL import Image

    things = ("snowboard", "dining table", "car", "person", "traffic light", "bowl", "chair")
    rng = np.random.default_rng(0)
    rows = []
    for image in range(images):
        blocks = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        stored = io.BytesIO()
        Image.fromarray(blocks).resize((640, 480)).save(stored, "JPEG")
        rows += [
            {
                "question_id": str(len(rows) + number),
                "question": f"Is there a {things[number % len(things)]} {number} in the image?",
                "answer": "yes" if number % 2 else "no",
                "image_source": f"image{image}",
                "category": "random",
                "image": {"bytes": stored.getvalue(), "path": None},
            }
            for number in range(questions)
        ]
    write_rows(folder, rows)


def load_task(data: Path) -> Any:
    """Build the task on local data."""
    os.environ["VLM_CONFIDENCE_DATA"] = str(data)
    from lmms_eval.tasks import TaskManager, get_task_dict

    from vlm_confidence_tasks.harness import plugin

    plugin.manifests()
    task = get_task_dict([TASK], TaskManager("WARNING", include_defaults=False), "chat")[TASK]
    task.config.generation_kwargs["max_new_tokens"] = NEW_TOKENS
    return task


def stock(folder: Path) -> Any:
    """Load the model on lmms-eval's adapter."""
    from lmms_eval.models.chat.llava_hf import LlavaHf

    return LlavaHf(str(folder), device="cpu", device_map="cpu", dtype="float32")


def shared(folder: Path, **options: Any) -> Any:
    """Load the model on the plugin's adapter."""
    from vlm_confidence_tasks.models.llava import Llava

    return Llava(str(folder), device="cpu", **options)


def evaluated(task: Any, adapter: Any, start: int, count: int) -> float:
    """Return how long some documents take, from the requests to the Readouts."""
    from vlm_confidence_tasks.harness.session import Session

    with Session(adapter, [task]):
        task.build_all_requests(limit=count, offset=start, rank=0, world_size=1)
        requests = list(task.instances)
        begun = time.perf_counter()
        adapter.generate_until(requests)
        for document in range(start, start + count):
            task.evaluation.readouts(TASK, document)
        return time.perf_counter() - begun


def prompts_of(task: Any, adapter: Any, questions: int) -> list[Any]:
    """Return the processed prompts of the questions about one image."""
    from vlm_confidence_tasks.harness.session import Session
    from vlm_confidence_tasks.harness.task import IMAGES

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
    from vlm_confidence_tasks import probe

    arguments = adapter._settings({"max_new_tokens": NEW_TOKENS})
    rows = [[probe.Row(("Yes", "No")) for _ in prompts]]
    adapter._shared._chosen[(repr(sorted(arguments.items())), False, False)] = "packed"

    def alone() -> None:
        for prompt in prompts:
            adapter.model.generate(**prompt.inputs, **arguments)

    return alone, lambda: adapter._shared.answer([prompts], rows, arguments)


@contextmanager
def timed(names: dict[str, tuple[Any, str]]) -> Iterator[dict[str, float]]:
    """Add up the seconds that functions take, by the name of their part."""
    from vlm_confidence_tasks.probe import replaced

    seconds = dict.fromkeys(names, 0.0)

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[name] += time.perf_counter() - begun

        return counted

    with ExitStack() as stack:
        for name, (where, attribute) in names.items():
            function = counting(name, getattr(where, attribute))
            stack.enter_context(replaced(where, attribute, function))
        yield seconds


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


def product_rate(times: int = 10) -> float:
    """Return the operations a second of a product of two 2,048 x 2,048 matrices."""
    import torch

    one = torch.randn(2048, 2048)
    one @ one
    begun = time.perf_counter()
    for _ in range(times):
        one @ one
    return times * 2 * 2048**3 / (time.perf_counter() - begun)


def shown(name: str, figure: float, goal: float | None, unit: str) -> str:
    """Return a line with a figure and its goal."""
    wanted = "" if goal is None else f"   goal {goal:g}{unit}"
    return f"  {name:<42} {figure:8.2f}{unit}{wanted}"


def measure_shape(folder: Path, questions: int, rounds: int, images: int) -> None:
    """Print the figures of one shape."""
    from vlm_confidence_tasks.models.shared_prefix import answering

    benchmark, whole_goal, model_goal = SHAPES.get(questions, ("", None, None))
    write_data(folder / f"data{questions}", images * (rounds + 1), questions)
    task = load_task(folder / f"data{questions}")
    adapters = {"stock": stock(folder / "model"), "shared": shared(folder / "model")}
    count = images * questions
    seconds: dict[str, list[float]] = {name: [] for name in adapters}
    parts = {
        "image and prefix": (answering, "read_prefix"),
        "questions": (answering, "read_prompts"),
        "answers": (answering, "decode"),
        "prompts (a thread, ahead)": (adapters["shared"], "_prompts"),
    }
    spent = dict.fromkeys(parts, 0.0)
    for turn in range(rounds + 1):
        for name, adapter in adapters.items():
            with timed(parts if name == "shared" else {}) as took:
                second = evaluated(task, adapter, turn * count, count)
            # The first is checked against generate(), and warms both up.
            if turn:
                seconds[name].append(second)
                spent = {key: spent[key] + took.get(key, 0.0) for key in spent}
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
        measure_model(task, adapters["shared"], questions, rounds, model_goal)


def measure_model(task: Any, adapter: Any, questions: int, rounds: int, goal: float | None) -> None:
    """Print the figures of the model's part, and what of the machine it uses."""
    prompts = prompts_of(task, adapter, questions)
    alone, together = model_parts(adapter, prompts)
    times: dict[str, list[float]] = {"alone": [], "together": []}
    rates = [product_rate()]
    alone(), together()
    for _ in range(rounds):
        for name, run in (("alone", alone), ("together", together)):
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
        rates.append(product_rate())
    slow, fast = statistics.median(times["alone"]), statistics.median(times["together"])
    prefix = adapter._shared.prefix_length(prompts)
    own = [len(prompt.tokens) - prefix for prompt in prompts]
    needed, rate = flops(adapter.model, prefix, own), statistics.median(rates)
    print(shown("model's part, times generate()", slow / fast, goal, "x"))
    print(f"  prefix {prefix} tokens, questions {sum(own) / len(own):.1f}, answers {NEW_TOKENS}")
    print(f"  {needed / 1e9:.0f} GFLOP a block, products run at {rate / 1e9:.0f} GFLOP/s")
    print(shown("limit by products, answers a second", questions * rate / needed, None, ""))
    print(shown("share of that limit", needed / rate / fast, LIMIT_SHARE, ""))


def measure_memory() -> None:
    """Print the peak resident memory of both ways at 18 questions an image."""
    peaks = {}
    for way in ("false", "true"):
        command = [sys.executable, __file__, "--peak", way]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        before, peaks[way] = map(float, done.stdout.split()[-2:])
        print(f"shared_prefix={way}: {before:.0f} MiB loaded, peak {peaks[way]:.0f} MiB")
    print(shown("peak, times the plain path's", peaks["true"] / peaks["false"], MEMORY, "x"))


def print_peak(way: str) -> None:
    """Evaluate 18 questions about each of two images, and print memory before and at its peak."""
    with tempfile.TemporaryDirectory() as name:
        write_data(Path(name) / "data", 2, 18)
        write_model(Path(name) / "model", TEXT, VISION)
        task = load_task(Path(name) / "data")
        adapter = shared(Path(name) / "model", shared_prefix=way == "true")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        evaluated(task, adapter, 0, 36)
        print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


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
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch

    torch.set_num_threads(options.threads)
    if options.peak:
        print_peak(options.peak)
    elif options.memory:
        measure_memory()
    else:
        with tempfile.TemporaryDirectory() as name:
            write_model(Path(name) / "model", TEXT, VISION)
            print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            for questions in options.shapes:
                measure_shape(Path(name), questions, options.rounds, options.images)


if __name__ == "__main__":
    main()
