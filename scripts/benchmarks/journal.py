"""What keeping the answers costs: time, as a ratio, and bytes an answer.

    python scripts/benchmarks/journal.py                # the embedded model's POPE sweep
    python scripts/benchmarks/journal.py --limit 540 --pairs 3
    python scripts/benchmarks/journal.py --weights DIR  # how long a model folder takes to tell

The same evaluation runs with and without `--use_cache`, in turns, so that both see the same
machine. Times are of this process's own work (CPU time), from the first request to the last
metric, without loading the model; beside it stands the share of the time that was spent in
the journal itself.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("VLM_CONFIDENCE_DATA", "sandbox")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from lmms_eval import evaluator
from lmms_eval.models import get_model
from lmms_eval.tasks import TaskManager

from benchmark_parts import in_turn, timed
from vlm_confidence_tasks.evaluation.response_cache import ResponseCache
from vlm_confidence_tasks.harness import session
from vlm_confidence_tasks.probe import folder_digest

# What the session calls of the journal.
CALLS = {"add": (ResponseCache, "add"), "find": (ResponseCache, "find")}
CALLS |= {"open": (session, "open_cache")}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", default="pope_eps")
    parser.add_argument("--limit", type=int, default=100, help="documents of each task")
    parser.add_argument("--pairs", type=int, default=9, help="runs with and without")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="a model's folder")
    options = parser.parse_args()
    if options.weights is not None:
        weigh(options.weights)
        return
    sweep(options.tasks.split(","), options.limit, options.pairs)


def weigh(folder: Path) -> None:
    """Print how long the digest of a model folder takes."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    start = time.perf_counter()
    folder_digest(folder)
    seconds = time.perf_counter() - start
    print(f"{size / 1e6:.1f} MB in {seconds:.2f} s: {size / 1e6 / seconds:.0f} MB/s")


def sweep(tasks: list[str], limit: int, pairs: int) -> None:
    """Print what the journal costs in an evaluation."""
    manager = TaskManager("WARNING")
    shares, sizes = [], []

    def evaluate(limit: int, folder: str | None = None) -> float:
        """Return the CPU seconds of an evaluation."""
        lm = get_model("tiny_llava").create_from_arg_string("", {"batch_size": 1})
        start = time.process_time()
        evaluator.simple_evaluate(
            lm, tasks=tasks, task_manager=manager, limit=limit, bootstrap_iters=0, use_cache=folder
        )
        return time.process_time() - start

    def with_journal(_: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            with timed(CALLS, time.process_time) as spent:
                seconds = evaluate(limit, folder)
            shares.append(sum(spent.values()) / seconds)
            sizes.append(bytes_an_answer(Path(folder)))
        return seconds

    evaluate(min(limit, 8))  # warms everything up
    ways = {"without": lambda _: evaluate(limit), "with": with_journal}
    found = in_turn(ways, pairs)
    for name, seconds in found.items():
        print(f"{name + ':':<8} {', '.join(f'{s:.2f}' for s in seconds)} s")
    ratio = statistics.median(found["with"]) / statistics.median(found["without"])
    print(f"ratio of medians: {ratio:.3f}; in the journal: {statistics.median(shares):.2%}")
    print(f"bytes an answer: {max(sizes):.0f}")


def bytes_an_answer(folder: Path) -> float:
    """Return the size of the journal over its rows."""
    (path,) = folder.rglob("*.sqlite")
    (rows,) = sqlite3.connect(path).execute("SELECT count(*) FROM answers").fetchone()
    return path.stat().st_size / rows


if __name__ == "__main__":
    main()
