"""Time and memory of a large leaderboard: 20 models x 40 tasks x 3,000 samples.

    python scripts/benchmarks/leaderboard.py [--models 20] [--tasks 40] [--samples 3000]

Writes made-up runs in the harness's layout into a temporary folder, then runs
`vlm-confidence leaderboard` on them, in a process of its own, and prints how long it took
and how much memory it and its workers held at most. Every number has its interval, as by
default in the command; `--no-intervals` times the rest alone, `--figures` the drawing too.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from made_up import NOISE, documents
from vlm_confidence_tasks import __version__
from vlm_confidence_tasks.harness.metric_registration import DocumentValues
from vlm_confidence_tasks.metrics import Answers, Sample, metrics_for, values

PROMPT = (
    "Is there an orange square in the image?\nAnswer the question using a single word or phrase."
)
METRICS = metrics_for([NOISE.family])


def main() -> None:
    """Write the runs, time the command on them, and print the result."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="vlm-confidence-"))
    try:
        size = _write(folder, options.models, options.tasks, options.samples)
        rows = options.models * options.tasks * options.samples
        print(f"{rows:,} rows, {size / 2**30:.1f} GiB of samples files", flush=True)
        command = [str(Path(sys.executable).with_name("vlm-confidence")), "leaderboard"]
        command += [str(folder / "runs"), "--output", str(folder / "board"), "--quiet"]
        command += ["--no-intervals"] if options.no_intervals else []
        command += [] if options.figures else ["--no-figures"]
        command += ["--workers", str(options.workers)]
        seconds, memory = _timed(command)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"{seconds:.1f} s, at most {memory / 2**20:,.0f} MiB, {options.workers} processes")
        processor = spent.ru_utime + spent.ru_stime
        entries = options.models * options.tasks
        print(f"{processor:.1f} s of processor time, {processor / entries:.2f} s an entry")
        print("without intervals" if options.no_intervals else "with intervals")
    finally:
        shutil.rmtree(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("models", 20), ("tasks", 40), ("samples", 3000), ("workers", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--no-intervals", action="store_true")
    parser.add_argument("--figures", action="store_true")
    return parser.parse_args()


def _write(folder: Path, models: int, tasks: int, samples: int) -> int:
    """Write the runs; as many made-up tasks as models are written under all of their names.

    Of a task no two models have the same: copies would be left out.
    """
    made = [_task(samples, seed) for seed in range(models)]
    written = 0
    for model in range(models):
        run = folder / "runs" / f"model{model:02d}"
        run.mkdir(parents=True)
        record = _results(f"pretrained=org/model{model:02d}")
        for task in range(tasks):
            name = f"pope_{task:02d}"
            lines, numbers = made[(model + task) % models]
            (run / f"20260101_000000_samples_{name}.jsonl").write_bytes(lines)
            written += len(lines)
            record["results"][name] = {f"{key},none": value for key, value in numbers.items()}
            record["configs"][name] = _config(name, task)
        (run / "20260101_000000_results.json").write_text(json.dumps(record))
    return written


def _results(args: str) -> dict:
    config = {"model": "llava", "model_args": args, "limit": None}
    head = {"config": config, "lmms_eval_version": "0.7.3", "date": "20260101_000000"}
    return {"results": {}, "configs": {}, **head}


def _config(name: str, task: int) -> dict:
    return {
        "task": name,
        "benchmark": "pope",
        "perturbations": [f"gaussian_noise(epsilon={task / 100}, seed=0)"],
        "max_side": None,
        "vlm_confidence_tasks": __version__,
    }


def _task(samples: int, seed: int) -> tuple[bytes, dict[str, float]]:
    made = documents(samples, max(1, samples // 6), seed)
    answers = Answers.of(made)
    core = {n: DocumentValues.of(m, answers) for n, m in METRICS.items() if m.is_core}
    lines = [json.dumps(_row(number, each, core)) for number, each in enumerate(made)]
    return ("\n".join(lines) + "\n").encode(), values(answers)


def _row(number: int, document: Sample, core: dict[str, DocumentValues]) -> dict:
    found = {name: value.at(number, document.image_id) for name, value in core.items()}
    return {
        "doc_id": number,
        "target": document.gold,
        "filtered_resps": [r.text for r in (document.clean, *document.variants)],
        "doc_hash": f"{number:064x}",
        **document.to_dict(),
        **{name: value for name, value in found.items() if value},
        "input": PROMPT,
    }


def _timed(command: list[str]) -> tuple[float, int]:
    """Run a command; return its seconds and the most memory that it and its children held."""
    start = time.perf_counter()
    process = subprocess.Popen(command)
    most, done = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), most, done))
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"the command ended with {code}")
    return seconds, most[0]


def _watch(parent: psutil.Process, most: list[int], done: threading.Event) -> None:
    while not done.wait(0.1):
        # A process may end while it is looked at.
        with suppress(psutil.NoSuchProcess):
            processes = (parent, *parent.children(recursive=True))
            most[0] = max(most[0], sum(process.memory_info().rss for process in processes))


if __name__ == "__main__":
    main()
