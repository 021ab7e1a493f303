"""Time every metric of a task on 9,000 answers, with intervals; bar: 5 s on one core.

    python scripts/benchmarks/metrics.py [--documents 9000] [--images 500]

A document here is a clean and a perturbed answer; every metric that has an interval gets it,
and so do four paired differences. Each part makes its own table. What is fitted on clean images is
in the second part and, again and alone, the last one, which is left out of the sum; bar: 2 s.
"""

from __future__ import annotations

import argparse
import resource
import time

from made_up import NOISE, documents
from vlm_confidence_tasks.metrics import Answers, Interval, Number, measure, metrics_for, values
from vlm_confidence_tasks.metrics.statistics.refitted import OfViews

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


def main() -> None:
    """Print seconds of each part and the peak memory of the process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=9000)
    parser.add_argument("--images", type=int, default=500)
    arguments = parser.parse_args()
    samples = documents(arguments.documents, arguments.images, seed=0)
    total = 0.0
    for part in (values, measure, differences, fitted):
        wall, start = time.perf_counter(), time.process_time()
        results = part(Answers.of(samples))
        spent = time.process_time() - start
        total += 0.0 if part is fitted else spent
        print(
            f"{part.__name__}: {len(results)} numbers, {spent:.2f} s of processor, "
            f"{time.perf_counter() - wall:.2f} s of clock"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"all: {total:.2f} s of processor, peak memory {peak:.0f} MiB (with the documents)")


if __name__ == "__main__":
    main()
