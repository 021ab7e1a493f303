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
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("VLM_CONFIDENCE_DATA", "sandbox")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


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
    from vlm_confidence_tasks.probe import folder_digest

    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    start = time.perf_counter()
    folder_digest(folder)
    seconds = time.perf_counter() - start
    print(f"{size / 1e6:.1f} MB in {seconds:.2f} s: {size / 1e6 / seconds:.0f} MB/s")


def sweep(tasks: list[str], limit: int, pairs: int) -> None:
    """Print what the journal costs in an evaluation."""
    from lmms_eval import models  # noqa: F401  (loads the plugin, which adds the tasks)
    from lmms_eval.tasks import TaskManager

    manager = TaskManager("WARNING")
    evaluate(tasks, min(limit, 8), manager, None)  # warms everything up
    without, with_journal, shares, sizes = [], [], [], []
    for pair in range(pairs):
        with tempfile.TemporaryDirectory() as folder:
            turns = ((folder, with_journal), (None, without))
            with timed_journal() as spent:
                for where, seconds in turns if pair % 2 else reversed(turns):
                    seconds.append(evaluate(tasks, limit, manager, where))
            shares.append(sum(spent) / with_journal[-1])
            sizes.append(bytes_an_answer(Path(folder)))
    ratio = statistics.median(with_journal) / statistics.median(without)
    print(f"without: {', '.join(f'{s:.2f}' for s in without)} s")
    print(f"with:    {', '.join(f'{s:.2f}' for s in with_journal)} s")
    print(f"ratio of medians: {ratio:.3f}; in the journal: {statistics.median(shares):.2%}")
    print(f"bytes an answer: {max(sizes):.0f}")


def evaluate(tasks: list[str], limit: int, manager: Any, folder: str | None) -> float:
    """Return the CPU seconds of an evaluation."""
    from lmms_eval import evaluator
    from lmms_eval.models import get_model

    lm = get_model("tiny_llava").create_from_arg_string("", {"batch_size": 1})
    start = time.process_time()
    evaluator.simple_evaluate(
        lm, tasks=tasks, task_manager=manager, limit=limit, bootstrap_iters=0, use_cache=folder
    )
    return time.process_time() - start


@contextmanager
def timed_journal() -> Iterator[list[float]]:
    """Collect the CPU seconds of each call that the session makes of the journal."""
    from vlm_confidence_tasks.evaluation.response_cache import ResponseCache
    from vlm_confidence_tasks.harness import session
    from vlm_confidence_tasks.probe import replaced

    spent: list[float] = []

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def timing(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return call(*args, **kwargs)
            finally:
                spent.append(time.process_time() - start)

        return timing

    with ExitStack() as stack:
        for owner, name in (
            (ResponseCache, "add"),
            (ResponseCache, "find"),
            (session, "open_cache"),
        ):
            stack.enter_context(replaced(owner, name, timed(getattr(owner, name))))
        yield spent


def bytes_an_answer(folder: Path) -> float:
    """Return the size of the journal over its rows."""
    import sqlite3

    (path,) = folder.rglob("*.sqlite")
    (rows,) = sqlite3.connect(path).execute("SELECT count(*) FROM answers").fetchone()
    return path.stat().st_size / rows


if __name__ == "__main__":
    main()
