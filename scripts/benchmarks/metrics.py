"""Time every metric of a task on 9,000 answers, with intervals; bar: 5 s on one core.

    python scripts/benchmarks/metrics.py [--documents 9000] [--images 500]

A document here is a clean and a perturbed answer; every metric that has an interval gets it,
and so do four paired differences. What is fitted on clean images is in the second part and, again
and alone, the last one, which is left out of the sum.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from vlm_confidence_tasks.metrics import (
    Columns,
    Interval,
    Number,
    Sample,
    extract_columns,
    interval,
    measure,
    metrics_for,
    task_metrics,
)
from vlm_confidence_tasks.types import CLEAN, Readout, Variant

NOISE = Variant("gaussian_noise", (("epsilon", 0.3),), family="noise")


def make_readout(rng: np.random.Generator, variant: Variant, gold: str) -> Readout:
    """Draw an answer that is right as often as it claims to be."""
    yes = float(rng.beta(1.5, 0.5) if gold == "Yes" else rng.beta(0.5, 1.5))
    answer = "Yes" if yes > 0.5 else "No"
    return Readout.of(
        variant=variant,
        image_sha256="",
        text=answer,
        answer=answer,
        correct=answer == gold,
        entropy=float(rng.exponential(0.3)),
        probs={"Yes": yes, "No": 1.0 - yes},
        answer_mass=float(rng.uniform(0.9, 1.0)),
        confidence=max(yes, 1.0 - yes),
    )


def make_documents(documents: int, images: int, seed: int = 0) -> list[Sample]:
    """Draw the answers of a task like POPE's."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(documents):
        gold = "Yes" if rng.random() < 0.5 else "No"
        readouts = [make_readout(rng, variant, gold) for variant in (CLEAN, NOISE)]
        made.append(
            Sample(
                image_id=f"image {number % images}",
                gold=gold,
                labels=("Yes", "No"),
                positive="Yes",
                clean=readouts[0],
                variants=(readouts[1],),
                upstream_clean=float(bool(readouts[0].correct)),
            )
        )
    return made


def intervals(documents: list[Sample]) -> dict[str, Number]:
    """Measure every metric with its interval."""
    return measure(documents)


def trust(documents: list[Sample]) -> dict[str, Number]:
    """Measure what is fitted on clean images alone again; bar: 2 s."""
    names = [name for name, metric in metrics_for(["noise"]).items() if metric.beside is not None]
    return measure(documents, names)


def differences(documents: list[Sample]) -> dict[str, Interval]:
    """Compare perturbed answers with clean ones, as two runs are compared."""
    metrics = metrics_for(["noise"])
    found = {}
    for name in ("accuracy", "entropy", "ece", "auroc"):
        metric = metrics[name]
        runs = [extract_columns(each, documents) for each in (metrics[f"{name}_clean"], metric)]
        both = Columns(
            values=[value for run in runs for value in run.values],
            clusters=[image for run in runs for image in run.clusters],
            paired=[bool(second) for second, run in enumerate(runs) for _ in run.values],
        )
        difference = interval(metric, both)
        if difference is not None:
            found[name] = difference
    return found


def main() -> None:
    """Print seconds of each part and the peak memory of the process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=9000)
    parser.add_argument("--images", type=int, default=500)
    arguments = parser.parse_args()
    documents = make_documents(arguments.documents, arguments.images)
    total = 0.0
    for part in (task_metrics, intervals, differences, trust):
        wall, start = time.perf_counter(), time.process_time()
        results = part(documents)
        spent = time.process_time() - start
        total += 0.0 if part is trust else spent
        print(
            f"{part.__name__}: {len(results)} numbers, {spent:.2f} s of processor, "
            f"{time.perf_counter() - wall:.2f} s of clock"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"all: {total:.2f} s of processor, peak memory {peak:.0f} MiB (with the documents)")


if __name__ == "__main__":
    main()
