"""Time every metric of a task on 9,000 answers, with intervals; bar: 5 s on one core.

    python scripts/benchmark_metrics.py [--documents 9000] [--images 500]

A document here is a clean and a perturbed answer; ifr, iv, accuracy, entropy and the
other means get a bootstrap interval of 2,000 draws each, and so do both ECEs and the
paired difference of accuracy.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from vlm_confidence_tasks.metrics import (
    Interval,
    Sample,
    bootstrap_ece_interval,
    bootstrap_mean_interval,
    metrics_for,
    task_metrics,
)
from vlm_confidence_tasks.types import CLEAN, Readout, Variant

NOISE = Variant("gaussian_noise", (("epsilon", 0.3),), family="noise")


def make_readout(rng: np.random.Generator, variant: Variant, gold: str) -> Readout:
    """Draw an answer that is right as often as it claims to be."""
    yes = float(rng.beta(0.5, 0.5))
    answer = "Yes" if yes > 0.5 else "No"
    return Readout(
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


def make_documents(documents: int, images: int) -> list[Sample]:
    """Draw the answers of a task like POPE's."""
    rng = np.random.default_rng(0)
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


def mean_intervals(documents: list[Sample]) -> dict[str, Interval]:
    """Bootstrap every metric that is a mean, from what it keeps of each document."""
    found = {}
    for name, metric in metrics_for(["noise"]).items():
        values = [(doc.image_id, metric.extract(doc) or {}) for doc in documents]
        rows = [(image, v["score"], v["n"]) for image, v in values if "score" in v]
        if rows:
            images, scores, instances = zip(*rows, strict=True)
            interval = bootstrap_mean_interval(scores, images, weights=instances)
            if interval is not None:
                found[name] = interval
    return found


def ece_intervals(documents: list[Sample]) -> dict[str, Interval | None]:
    """Bootstrap both ECEs and the paired differences."""
    rows = [(doc.image_id, side, r) for doc in documents for side, r in enumerate(both(doc))]
    confidence = np.array([r.confidence for _, _, r in rows], dtype=float)
    correct = np.array([bool(r.correct) for _, _, r in rows])
    images = np.array([image for image, _, _ in rows])
    clean = np.array([side == 0 for _, side, _ in rows])
    return {
        "ece": bootstrap_ece_interval(confidence[~clean], correct[~clean], images[~clean]),
        "ece_clean": bootstrap_ece_interval(confidence[clean], correct[clean], images[clean]),
        "ece - ece_clean": bootstrap_ece_interval(confidence, correct, images, paired=~clean),
        "accuracy - accuracy_clean": bootstrap_mean_interval(correct, images, paired=~clean),
    }


def both(document: Sample) -> tuple[Readout, Readout]:
    """Return the clean and the perturbed answer."""
    return document.clean, document.variants[0]


def main() -> None:
    """Print seconds of each part and the peak memory of the process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=9000)
    parser.add_argument("--images", type=int, default=500)
    arguments = parser.parse_args()
    documents = make_documents(arguments.documents, arguments.images)
    total = 0.0
    for part in (task_metrics, mean_intervals, ece_intervals):
        wall, start = time.perf_counter(), time.process_time()
        results = part(documents)
        spent = time.process_time() - start
        total += spent
        print(
            f"{part.__name__}: {len(results)} numbers, {spent:.2f} s of processor, "
            f"{time.perf_counter() - wall:.2f} s of clock"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"all: {total:.2f} s of processor, peak memory {peak:.0f} MiB (with the documents)")


if __name__ == "__main__":
    main()
