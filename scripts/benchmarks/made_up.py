"""Answers to a task like POPE's, made up: a clean and a perturbed one to each question."""

from __future__ import annotations

import numpy as np

from vlm_confidence_tasks.metrics import Sample
from vlm_confidence_tasks.types import CLEAN, Readout, Variant

LABELS = ("Yes", "No")
NOISE = Variant("gaussian_noise", (("epsilon", 0.3),), family="noise")


def documents(count: int, images: int, seed: int) -> list[Sample]:
    """Draw documents about so many images."""
    rng = np.random.default_rng(seed)
    return [_document(number, number * images // count, rng) for number in range(count)]


def _document(number: int, image: int, rng: np.random.Generator) -> Sample:
    gold = LABELS[number % 2]
    clean, noisy = (_readout(image, variant, gold, rng) for variant in (CLEAN, NOISE))
    return Sample(
        image_id=f"COCO_{image:012d}",
        gold=gold,
        labels=LABELS,
        positive="Yes",
        clean=clean,
        variants=(noisy,),
        upstream_clean=1.0,
        question_id=str(number),
        category="adversarial",
    )


def _readout(image: int, variant: Variant, gold: str, rng: np.random.Generator) -> Readout:
    log_odds = float(rng.normal(1.0, 1.5))
    right = 1 / (1 + np.exp(-log_odds))
    other = LABELS[1 - LABELS.index(gold)]
    said = gold if right >= 0.5 else other
    entropy = float(rng.gamma(2.0, 0.2))
    return Readout.of(
        variant=variant,
        image_sha256=f"{image * 2 + bool(variant.family):064x}",
        text=said,
        answer=said,
        correct=said == gold,
        entropy=entropy,
        token_entropy=(entropy,),
        logprob=-0.1,
        probs={gold: float(right), other: float(1 - right)},
        answer_mass=0.99,
        answer_step=0,
        entropy_answer=entropy,
        confidence=float(max(right, 1 - right)),
        margin=abs(log_odds),
        gold_margin=log_odds,
    )
