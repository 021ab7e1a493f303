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
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
from lmms_eval import evaluator
from lmms_eval.tasks import TaskManager
from msgspec.structs import replace as changed
from transformers import AutoConfig

from benchmark_parts import (
    TASK,
    in_turn,
    load_task,
    peak,
    printed_by,
    stock_adapter,
    write_data,
    write_model,
)
from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.evaluation.schedule import blocks
from vlm_confidence_tasks.harness.session import Session
from vlm_confidence_tasks.harness.task import IMAGES, PerturbedTask
from vlm_confidence_tasks.harness.task_names import shipped
from vlm_confidence_tasks.models.llava import TinyLlava
from vlm_confidence_tasks.probe import replaced
from vlm_confidence_tasks.sandbox import MODEL_DIR

NEW_TOKENS = 4


def requests_of(task: Any, adapter: Any, start: int, count: int) -> list[Any]:
    """Build the requests of some documents anew: adapters change their arguments."""
    with Session(adapter, [task]):
        task.build_all_requests(limit=count, offset=start, rank=0, world_size=1)
    return list(task.instances)


def time_without(task: Any, adapter: Any, requests: list[Any]) -> float:
    """Time the stock adapter on images that were perturbed beforehand."""
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
    with Session(adapter, [task]):
        start = time.perf_counter()
        adapter.generate_until(requests)
        return time.perf_counter() - start


def measure_ratio(folder: Path, questions: int, parts: int) -> None:
    """Print the medians and their ratio."""
    write_data(folder / "data", questions, 6, (640, 640))
    write_model(folder / "model")
    task, adapter = load_task(folder / "data", NEW_TOKENS), stock_adapter(folder / "model")
    count = questions // parts
    time_without(task, adapter, requests_of(task, adapter, 0, 2))
    print(f"{questions} questions, clean and epsilon 0.3, in {parts} parts")
    ways = {
        name: lambda part, run=run: run(
            task, adapter, requests_of(task, adapter, part * count, count)
        )
        for name, run in (("without", time_without), ("with", time_with))
    }
    show_ratio(in_turn(ways, parts))


def show_ratio(seconds: dict[str, list[float]]) -> None:
    """Print the medians of both ways."""
    without, with_it = (statistics.median(seconds[name]) for name in ("without", "with"))
    print(f"without {without:.3f} s a part, with {with_it:.3f} s")
    print(f"ratio {with_it / without:.3f}")


def measure_representations(folder: Path, parts: int, count: int) -> None:
    """Print what measuring the model's inside adds to a run of pope_invariance."""
    # All of a part are about one image, and so are its blank images: one a question.
    write_data(folder / "data", 6 * parts, 6, (640, 640))
    write_model(folder / "model")
    task = load_task(folder / "data", NEW_TOKENS, "pope_invariance")
    adapter, work, spec = stock_adapter(folder / "model"), {False: 0.0, True: 0.0}, task.spec

    def run(wanted: bool, part: int) -> float:
        task.spec = replace(spec, settings=changed(spec.settings, representations=wanted))
        requests = requests_of(task, adapter, 6 * part, count)
        before = time.process_time()
        seconds = time_with(task, adapter, requests)
        work[wanted] += time.process_time() - before
        return seconds

    ways = {"without": lambda part: run(False, part), "with": lambda part: run(True, part)}
    seconds = in_turn(ways, parts)
    print(f"{len(task.instances)} answers a part, and {count} on a blank image, {parts} parts")
    print(f"processor time, of all threads: ratio {work[True] / work[False]:.3f}")
    show_ratio(seconds)


def measure_memory_of_representations(folder: Path, documents: int) -> None:
    """Print what a run that measures the inside holds beyond one that does not, and its bar."""
    write_data(folder / "data", documents, 6, (256, 256))
    noise = "perturbations: [{name: gaussian_noise, epsilon: 0.3}]"
    peaks = {}
    for wanted in ("false", "true"):
        task = f"representations_{wanted}"
        lines = [
            f"include: {shipped().templates['pope']}",
            f"task: {task}",
            f"representations: {wanted}",
        ]
        (folder / f"{task}.yaml").write_text("\n".join([*lines, noise, ""]))
        more = ("--tasks", task, "--include_path", str(folder))
        *_, peaks[wanted] = printed_by(__file__, "--evaluate", str(folder / "data"), *more)
        print(f"representations: {wanted}, {documents} documents: peak {peaks[wanted]:.0f} MiB")
    width = AutoConfig.from_pretrained(MODEL_DIR).text_config.hidden_size
    allowed = documents * 3 * width * 2 / 2**20 + 200e6 / 2**20
    print(f"difference {peaks['true'] - peaks['false']:.0f} MiB, allowed {allowed:.0f} MiB")


def measure_memory(folder: Path, options: argparse.Namespace) -> None:
    """Print the memory of a process at each number of documents, and of an answer more."""
    rows = []
    more = ["--tasks", options.tasks, "--batch_size", str(options.batch_size)]
    more += ["--log_samples"] * options.log_samples
    for documents in options.documents:
        data = folder / str(documents)
        write_data(data, documents, 6, (256, 256))
        start = time.perf_counter()
        answers, planned, most = printed_by(__file__, "--evaluate", str(data), *more)
        seconds = time.perf_counter() - start
        print(f"{options.tasks}, {documents} documents: peak {most:.0f} MiB, {seconds:.0f} s")
        rows.append((answers, planned * 2**20, most * 2**20))
    if len(rows) > 1:
        answers, planned, most = (
            last - first for first, last in zip(rows[0], rows[-1], strict=True)
        )
        print(
            f"{answers:.0f} answers more: {planned / answers:.0f} bytes each before the first one"
        )
        print(f"(requests of the harness), {(most - planned) / answers:.0f} until the end")
        print(f"ratio {rows[-1][2] / rows[0][2]:.3f}")


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate the embedded model on local data; print answers, MiB when all is planned, peak."""
    os.environ["VLM_CONFIDENCE_DATA"] = str(options.evaluate)
    planned, answers = [], []
    generate, gather = TinyLlava.generate_until, PerturbedTask.apply_filters

    def first_answer(adapter: Any, requests: list[Any]) -> Any:
        planned.append(psutil.Process().memory_info().rss / 2**20)
        return generate(adapter, requests)

    def last_answer(task: Any) -> Any:
        found = gather(task)
        answers.append(len(task.answers))
        return found

    with (
        replaced(TinyLlava, "generate_until", first_answer),
        replaced(PerturbedTask, "apply_filters", last_answer),
    ):
        evaluator.simple_evaluate(
            "tiny_llava",
            task_manager=TaskManager("WARNING", include_path=options.include_path),
            tasks=options.tasks.split(","),
            batch_size=options.batch_size,
            bootstrap_iters=0,
            log_samples=options.log_samples,
        )
    print(sum(answers), planned[0], peak())


def measure_planning(folder: Path) -> None:
    """Print how long 9,000 questions about 1,500 images of 150 kB take to plan."""
    write_data(folder, 9000, 6, (1152, 1152))
    stored = (folder / "pope" / "test.parquet").stat().st_size
    task, adapter = load_task(folder, NEW_TOKENS), TinyLlava()
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
    if options.evaluate:
        evaluate(options)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.memory and options.representations:
            measure_memory_of_representations(folder, options.documents[0])
        elif options.representations:
            measure_representations(folder, options.parts, options.of_a_part)
        elif options.memory:
            measure_memory(folder, options)
        elif options.planning:
            measure_planning(folder)
        else:
            measure_ratio(folder, options.questions, options.parts)


if __name__ == "__main__":
    main()
