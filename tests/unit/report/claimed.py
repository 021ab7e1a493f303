"""Runs in which a claim is true, false or undecided by construction."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from report.synthetic import LABELS, Answers, Asked, noise, write_run
from vlm_confidence_tasks.report.claims.claims import OTHERS
from vlm_confidence_tasks.types import CLEAN, Inside, Readout, Sample, Variant

IMAGES = 60
# About each image: one whose right answer is "Yes" and one whose is "No".
QUESTIONS = 2
OVERLAYS = ("textoverlay", "textoverlay_random", "textoverlay_empty")
FAMILIES = (*OTHERS, *OVERLAYS)
TRAP = "caption_trap_clamponly"
CONTROL = 0.4

Tasks = Mapping[str, Answers]


def family(name: str) -> Variant:
    return Variant(name, family=name, control=name in OVERLAYS[1:])


def asked(images: int = IMAGES) -> Iterator[Asked]:
    for number in range(images * QUESTIONS):
        yield Asked(str(number), f"image{number // QUESTIONS}", LABELS[number % QUESTIONS])


def inside(drift: float | None = None) -> Inside:
    """Return the context's drift of a variant, or the control drift of a clean image."""
    moved = {} if drift is None else {"context": drift}
    control = {"context": CONTROL} if drift is None else {}
    return Inside(moved, moved, control, None, None, None, (), {})


def readout(
    question: Asked,
    variant: Variant,
    answer: str,
    stated: float | None = None,
    moved: Inside | None = None,
) -> Readout:
    return Readout.of(
        variant=variant,
        image_sha256=question.digest(variant),
        text=answer,
        answer=answer,
        correct=answer == question.gold,
        probs={label: 0.8 if label == answer else 0.2 for label in LABELS},
        confidence=0.8,
        verbal_text=None if stated is None else f"{100 * stated:.0f}%",
        verbal_confidence=stated,
        inside=moved,
    )


def document(question: Asked, clean: Readout, variants: Sequence[Readout]) -> tuple[Asked, Sample]:
    sample = Sample(question.image_id, question.gold, LABELS, "Yes", clean, tuple(variants))
    return question, sample


def other(label: str) -> str:
    return LABELS[1 - LABELS.index(label)]


def shares(rate: float, seed: int, images: int = IMAGES) -> list[bool]:
    """Return for each document whether an event is seen, in an exact share of all."""
    count = images * QUESTIONS
    events = np.arange(count) < round(rate * count)
    return np.random.default_rng(seed).permutation(events).tolist()


def draws(seed: int = 0) -> list[float]:
    """Return a number an image, with mean 0 and standard deviation 1."""
    drawn = np.random.default_rng(seed).standard_normal(IMAGES)
    return ((drawn - drawn.mean()) / drawn.std()).tolist()


def entropies(changes: Mapping[float, float], spread: float) -> Tasks:
    """Caption tasks whose entropies change by a mean for each epsilon.

    Args:
        changes: The mean change by epsilon.
        spread: Standard deviation of the change over images, for each unit of epsilon.
    """
    drawn, made = draws(), {}
    for epsilon, change in changes.items():
        held = []
        for image in range(IMAGES):
            question = Asked(str(image), f"image{image}", None)
            before = 2.0 + 0.1 * math.sin(image)
            after = before + change + spread * drawn[image] * epsilon
            clean, noisy = (
                Readout.of(variant, question.digest(variant), "x", None, None, entropy=entropy)
                for variant, entropy in ((CLEAN, before), (noise(epsilon), after))
            )
            held.append((question, Sample(question.image_id, None, (), None, clean, (noisy,))))
        made[f"caption_eps{epsilon}"] = held
    return made


def invariance(
    rates: Mapping[str, float], ratio: float = 0.8, seed: int = 0, images: int = IMAGES
) -> Answers:
    """Right answers that flip.

    Args:
        rates: Share of documents whose answer flips, by family.
        ratio: Drift over control drift, on average.
        seed: Which documents flip.
        images: How many images.
    """
    flips = [shares(rate, seed + n, images) for n, rate in enumerate(rates.values())]
    held = []
    for number, question in enumerate(asked(images)):
        gold = str(question.gold)
        drift = CONTROL * ratio * (1.0 + 0.1 * math.sin(number))
        clean = readout(question, CLEAN, gold, moved=inside())
        variants = [
            readout(
                question,
                family(name),
                other(gold) if flipped[number] else gold,
                moved=inside(drift),
            )
            for name, flipped in zip(rates, flips, strict=True)
        ]
        held.append(document(question, clean, variants))
    return held


def wrong(clean: float, perturbed: float, images: int = IMAGES) -> Answers:
    """Answers of which a share is wrong on clean images, and one on perturbed ones."""
    sides = list(zip(shares(clean, 1, images), shares(perturbed, 2, images), strict=True))
    held = []
    for question, wrongs in zip(asked(images), sides, strict=True):
        gold = str(question.gold)
        said = [other(gold) if is_wrong else gold for is_wrong in wrongs]
        rotated = readout(question, family("rotation"), said[1])
        held.append(document(question, readout(question, CLEAN, said[0]), [rotated]))
    return held


def stated(certainty: float, wrong_share: float, spread: float, seed: int = 0) -> Answers:
    """Answers with a stated certainty: its mean and spread over images, and how many are wrong."""
    drawn, wrongs = draws(seed), shares(wrong_share, 3)
    held = []
    for number, question in enumerate(asked()):
        gold = str(question.gold)
        said = other(gold) if wrongs[number] else gold
        sure = min(1.0, max(0.0, certainty + spread * drawn[number // QUESTIONS]))
        clean, noisy = (readout(question, v, said, stated=sure) for v in (CLEAN, noise(0.3)))
        held.append(document(question, clean, [noisy]))
    return held


def write(
    folder: Path,
    tasks: Tasks,
    name: str = "org/model",
    trap: tuple[float, float] | None = None,
    date: str = "20260101_000000",
) -> Path:
    """Write a model's run and return its results file.

    Args:
        folder: Where to; the model gets a folder in it.
        tasks: The answers of each perturbed task.
        name: The model.
        trap: Of a task that follows the code of "The Confidence Trap", the mean change of the
            entropy and its standard deviation.
        date: Of the run.
    """

    rows = [] if trap is None else trapped(*trap)

    def add_trap(record: dict[str, Any]) -> None:
        if rows:
            means = {key: fmean(row[key] for row in rows) for key in rows[0] if key != "doc_id"}
            record["results"][TRAP] = {f"{key},none": mean for key, mean in means.items()}
            record["configs"][TRAP] = {"task": TRAP}

    results = write_run(folder, tasks, args=f"pretrained={name}", date=date, change=add_trap)
    if rows:
        file = results.with_name(f"{date}_samples_{TRAP}.jsonl")
        file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return results


def trapped(change: float, spread: float) -> list[dict[str, float]]:
    """Rows of a task that follows the code of "The Confidence Trap"."""
    deltas = [change + spread * drawn for drawn in draws()]
    return [
        {
            "doc_id": n,
            "trap_entropy_clean": 1.0,
            "trap_entropy": 1.0 + delta,
            "trap_entropy_delta": delta,
            "trap_entropy_drop_rate": float(delta < 0),
        }
        for n, delta in enumerate(deltas)
    ]
