"""What the plugin costs: time, memory and planning, against the stock adapter.

    python scripts/benchmarks/overhead.py              # last line: ratio 1.03
    python scripts/benchmarks/overhead.py --memory     # peak memory at 500 and 2,000 documents
    python scripts/benchmarks/overhead.py --memory --documents 5000 --tasks pope_invariance,pope_eps
    python scripts/benchmarks/overhead.py --planning   # seconds to plan 9,000 questions
    python scripts/benchmarks/overhead.py --representations    # what measuring the inside adds
    python scripts/benchmarks/overhead.py --memory --representations    # and what it holds

The ratio is of medians over ten parts of the questions, each part run without and with
the plugin in turn, on a random-weight LLaVA with 576 image tokens (hidden size 512,
eight layers), every question clean and at epsilon 0.3. Without the plugin the perturbed
images are made beforehand and nothing is read from the model. With `--representations` it
is of runs of pope_invariance with and without them, blank images and spectra included.
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
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

# Sizes of the model's parts.
TEXT = {"hidden_size": 512, "intermediate_size": 1376, "max_position_embeddings": 1024}
VISION = {
    "hidden_size": 256,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
}

TASK = "pope_eps0.3"


def write_data(folder: Path, questions: int, side: int) -> None:
    """Write POPE-like local data: six questions an image, random blocks of colour."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    rows = []
    for number in range(questions):
        if number % 6 == 0:
            blocks = rng.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8)
            stored = io.BytesIO()
            Image.fromarray(blocks).resize((side, side)).save(stored, "JPEG")
        rows.append(
            {
                "question_id": str(number),
                "question": f"Is there a thing number {number} in the image?",
                "answer": "yes" if number % 2 else "no",
                "image_source": f"image{number // 6}",
                "category": "random",
                "image": {"bytes": stored.getvalue(), "path": None},
            }
        )
    write_rows(folder, rows)


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of POPE's schema as local data."""
    import datasets

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
    import torch
    from transformers import (
        AutoProcessor,
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    from vlm_confidence_tasks.sandbox import MODEL_DIR

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


def load_task(data: Path, name: str = TASK) -> Any:
    """Build a task on local data."""
    os.environ["VLM_CONFIDENCE_DATA"] = str(data)
    from lmms_eval.tasks import TaskManager, get_task_dict

    from vlm_confidence_tasks.harness import plugin

    plugin.manifests()
    return get_task_dict([name], TaskManager("WARNING"), "chat")[name]


def requests_of(task: Any, adapter: Any, start: int, count: int) -> list[Any]:
    """Build the requests of some documents anew: adapters change their arguments."""
    from vlm_confidence_tasks.harness.session import Session

    with Session(adapter, [task]):
        task.build_all_requests(limit=count, offset=start, rank=0, world_size=1)
    return list(task.instances)


def time_without(task: Any, adapter: Any, requests: list[Any]) -> float:
    """Time the stock adapter on images that were perturbed beforehand."""
    from vlm_confidence_tasks import perturbations
    from vlm_confidence_tasks.harness.task import IMAGES

    view = {}
    for request in requests:
        own = request.request
        stored = task.documents.images(own.document)
        images = [perturbations.apply(image, own.variant) for image in stored]
        view[own.index] = task.documents.text[own.document] | {IMAGES: images}
    adapter.task_dict[TASK] = {"test": view}
    start = time.perf_counter()
    adapter.generate_until(requests)
    return time.perf_counter() - start


def time_with(task: Any, adapter: Any, requests: list[Any]) -> float:
    """Time the same requests through a session."""
    from vlm_confidence_tasks.harness.session import Session

    with Session(adapter, [task]):
        start = time.perf_counter()
        adapter.generate_until(requests)
        return time.perf_counter() - start


def measure_ratio(questions: int, parts: int) -> None:
    """Print the medians and their ratio."""
    from tqdm import tqdm

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder / "data", questions, side=640)
        write_model(folder / "model")
        task = load_task(folder / "data")
        task.config.generation_kwargs["max_new_tokens"] = 4
        adapter = load_adapter(folder / "model")
        count = questions // parts
        time_without(task, adapter, requests_of(task, adapter, 0, 2))
        without, with_plugin = [], []
        for part in tqdm(range(parts), desc="Parts"):
            first = requests_of(task, adapter, part * count, count)
            second = requests_of(task, adapter, part * count, count)
            without.append(time_without(task, adapter, first))
            with_plugin.append(time_with(task, adapter, second))
    slow, fast = statistics.median(with_plugin), statistics.median(without)
    print(f"{questions} questions, clean and epsilon 0.3, in {parts} parts")
    print(f"without {fast:.3f} s a part, with {slow:.3f} s")
    print(f"ratio {slow / fast:.3f}")


def load_adapter(folder: Path) -> Any:
    """Load a written model on the stock adapter."""
    from lmms_eval.models.chat.llava_hf import LlavaHf

    return LlavaHf(str(folder), device="cpu", device_map="cpu", dtype="float32")


def measure_representations(parts: int, count: int) -> None:
    """Print what measuring the model's inside adds to a run of pope_invariance."""
    from msgspec import structs
    from tqdm import tqdm

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # All of a part are about one image, and so are its blank images: one a question.
        write_data(folder / "data", 6 * parts, side=640)
        write_model(folder / "model")
        task = load_task(folder / "data", "pope_invariance")
        task.config.generation_kwargs["max_new_tokens"] = 4
        specs = {
            wanted: replace(
                task.spec, settings=structs.replace(task.spec.settings, representations=wanted)
            )
            for wanted in (False, True)
        }
        adapter = load_adapter(folder / "model")
        seconds: dict[bool, list[float]] = {False: [], True: []}
        work = {False: 0.0, True: 0.0}
        for part in tqdm(range(parts), desc="Parts"):
            for wanted in (False, True) if part % 2 else (True, False):
                task.spec = specs[wanted]
                requests = requests_of(task, adapter, 6 * part, count)
                before = time.process_time()
                seconds[wanted].append(time_with(task, adapter, requests))
                work[wanted] += time.process_time() - before
    fast, slow = (statistics.median(seconds[wanted]) for wanted in (False, True))
    print(f"{len(requests)} answers a part, and {count} on a blank image, {parts} parts")
    print(f"without {fast:.3f} s a part, with {slow:.3f} s")
    print(f"processor time, of all threads: ratio {work[True] / work[False]:.3f}")
    print(f"ratio {slow / fast:.3f}")


def measure_memory_of_representations(options: argparse.Namespace) -> None:
    """Print what a run that measures the inside holds beyond one that does not, and its bar."""
    from vlm_confidence_tasks.harness.task_names import shipped

    documents, peaks = options.documents[0], {}
    with tempfile.TemporaryDirectory() as name:
        write_data(Path(name) / "data", documents, side=256)
        template = shipped().templates["pope"]
        noise = "perturbations: [{name: gaussian_noise, epsilon: 0.3}]"
        for wanted in ("false", "true"):
            task = f"representations_{wanted}"
            lines = [f"include: {template}", f"task: {task}", f"representations: {wanted}", noise]
            (Path(name) / f"{task}.yaml").write_text("\n".join([*lines, ""]))
            command = [sys.executable, __file__, "--evaluate", str(Path(name) / "data")]
            command += ["--tasks", task, "--include_path", name]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            peaks[wanted] = float(done.stdout.split()[-1])
            print(f"representations: {wanted}, {documents} documents: peak {peaks[wanted]:.0f} MiB")
    from transformers import AutoConfig

    from vlm_confidence_tasks.sandbox import MODEL_DIR

    width = AutoConfig.from_pretrained(MODEL_DIR).text_config.hidden_size
    allowed = documents * 3 * width * 2 / 2**20 + 200e6 / 2**20
    print(f"difference {peaks['true'] - peaks['false']:.0f} MiB, allowed {allowed:.0f} MiB")


def measure_memory(options: argparse.Namespace) -> None:
    """Print the peak resident memory of a process at each number of documents."""
    peaks = []
    for documents in options.documents:
        with tempfile.TemporaryDirectory() as name:
            write_data(Path(name) / "data", documents, side=256)
            more = ["--tasks", options.tasks, "--batch_size", str(options.batch_size)]
            more += ["--log_samples"] * options.log_samples
            command = [sys.executable, __file__, "--evaluate", str(Path(name) / "data"), *more]
            start = time.perf_counter()
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        peaks.append(float(done.stdout.split()[-1]))
        seconds = time.perf_counter() - start
        print(f"{options.tasks}, {documents} documents: peak {peaks[-1]:.0f} MiB, {seconds:.0f} s")
    if len(peaks) > 1:
        print(f"ratio {peaks[-1] / peaks[0]:.3f}")


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate the embedded model on local data and print the peak memory in MiB."""
    os.environ["VLM_CONFIDENCE_DATA"] = str(options.evaluate)
    from lmms_eval import evaluator
    from lmms_eval.tasks import TaskManager

    evaluator.simple_evaluate(
        "tiny_llava",
        task_manager=TaskManager("WARNING", include_path=options.include_path),
        tasks=options.tasks.split(","),
        batch_size=options.batch_size,
        bootstrap_iters=0,
        log_samples=options.log_samples,
    )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure_planning() -> None:
    """Print how long 9,000 questions about 1,500 images of 150 kB take to plan."""
    from vlm_confidence_tasks.evaluation.schedule import blocks
    from vlm_confidence_tasks.harness.session import Session
    from vlm_confidence_tasks.models.llava import TinyLlava

    with tempfile.TemporaryDirectory() as name:
        write_data(Path(name), 9000, side=1152)
        stored = (Path(name) / "pope" / "test.parquet").stat().st_size
        task, adapter = load_task(Path(name)), TinyLlava()
        with Session(adapter, [task]):
            start = time.perf_counter()
            task.build_all_requests(rank=0, world_size=1)
            requests = [instance.request for instance in task.instances]
            number = sum(1 for _ in blocks(requests))
            seconds = time.perf_counter() - start
    print(f"{len(requests)} requests, {stored / 2**20:.0f} MiB of data, {number} blocks")
    print(f"planning {seconds:.2f} s")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", action="store_true", help="measure memory instead")
    parser.add_argument("--planning", action="store_true", help="measure planning instead")
    parser.add_argument("--questions", type=int, default=200, help="of the ratio")
    parser.add_argument("--parts", type=int, default=10, help="of the ratio")
    parser.add_argument("--of_a_part", type=int, default=6, help="questions, of representations")
    parser.add_argument("--documents", type=int, nargs="+", default=(500, 2000), help="of memory")
    parser.add_argument("--tasks", default=TASK, help="of memory")
    parser.add_argument("--batch_size", type=int, default=1, help="of memory")
    parser.add_argument("--log_samples", action="store_true", help="of memory: keep samples")
    parser.add_argument("--representations", action="store_true", help="measure those instead")
    parser.add_argument("--include_path", help=argparse.SUPPRESS)
    parser.add_argument("--evaluate", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if options.evaluate:
        evaluate(options)
    elif options.memory and options.representations:
        measure_memory_of_representations(options)
    elif options.representations:
        measure_representations(options.parts, options.of_a_part)
    elif options.memory:
        measure_memory(options)
    elif options.planning:
        measure_planning()
    else:
        measure_ratio(options.questions, options.parts)


if __name__ == "__main__":
    main()
