"""Time all numbers of one task with their intervals, on one core; bar: 0.3 s of processor.

    python scripts/benchmarks/metrics.py [--documents 3000] [--images 500]

A document here is a clean and a perturbed answer. The sum is of what a leaderboard does with a
task: its samples file is read, its table is made, and every metric is computed with the interval
that it has (`measure`). Beside it: values alone, four paired differences, and again what is fitted
on clean images. Shown is the median of several rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sized
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from made_up import NOISE, documents
from vlm_confidence_tasks.metrics import Answers, Interval, Number, measure, metrics_for, values
from vlm_confidence_tasks.metrics.statistics.refitted import OfViews
from vlm_confidence_tasks.report.inputs.samples import read_samples

METRICS = metrics_for([NOISE.family])


def fitted(answers: Answers) -> dict[str, Number]:
    """Measure what is fitted on clean images alone."""
    return measure(answers, [n for n, m in METRICS.items() if isinstance(m.statistic, OfViews)])


def differences(answers: Answers) -> dict[str, Interval | None]:
    """Compare perturbed answers with clean ones, as two runs are compared."""
    return {
        name: METRICS[name].statistic.difference(answers.clean, answers.perturbed)
        for name in ("accuracy", "entropy", "ece", "auroc")
    }


def timed(name: str, call: Callable[..., Sized], given: object, rounds: int) -> float:
    """Print and return the processor time of a call, the median of some."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        made = call(given)
        seconds.append(time.process_time() - start)
    print(f"{name}: {len(made)}, {statistics.median(seconds):.3f} s of processor")
    return statistics.median(seconds)


def main() -> None:
    """Print seconds of each part and the peak memory of the process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=3000)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    samples = documents(given.documents, given.images, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "samples.jsonl"
        file.write_text("".join(json.dumps({**s.to_dict(), "input": ""}) + "\n" for s in samples))
        total = timed("documents read", lambda f: read_samples(f).samples, file, given.rounds)
    total += timed("rows of the table", Answers.of, samples, given.rounds)
    table = Answers.of(samples)
    for part in (measure, values, differences, fitted):
        spent = timed(part.__name__, partial(_on_a_copy, part), table, given.rounds)
        total += spent if part is measure else 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"a task: {total:.3f} s of processor, peak memory {peak:.0f} MiB")


def _on_a_copy(part: Callable[[Answers], Sized], answers: Answers) -> Sized:
    # A table keeps what several metrics share.
    return part(answers.with_columns())


if __name__ == "__main__":
    main()
