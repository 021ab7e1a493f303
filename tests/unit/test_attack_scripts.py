"""Detectors against attacks, in the scripts that make docs/studies/sandbox-attacks.md."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from attack_tables import Detected, spread, told_apart
from attacked_data import kept_images, pixels
from vlm_confidence_tasks.evaluation.response_cache.cache import SUBFOLDER
from vlm_confidence_tasks.evaluation.response_cache.serialization import pack_images
from vlm_confidence_tasks.evaluation.response_cache.sqlite_journal import Entry, Journal
from vlm_confidence_tasks.metrics import Answers
from vlm_confidence_tasks.perturbations import image_digest, perturb
from vlm_confidence_tasks.types import CLEAN, Readout, Sample, Variant

NOISE = Variant("gaussian_noise", (("epsilon", 0.1),), seed=2, family="noise")


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8))


def readout(answer: str = "Yes", image: str = "", variant: Variant = CLEAN, **numbers) -> Readout:
    return Readout.of(variant, image, answer, answer, answer == "Yes", **numbers)


def sample(clean: Readout, *variants: Readout, image: str = "x", number: str = "1") -> Sample:
    labels = ("Yes", "No")
    return Sample(image, "Yes", labels, "Yes", clean, variants, question_id=number)


def detected(samples: list[Sample], redrawn: list[Sample]) -> Detected:
    """The answers to variants."""
    return Detected.of(Answers.of(samples).variants, samples, spread(redrawn))


def test_visual_entropy_is_of_the_shown_image_and_question() -> None:
    redrawn = [
        sample(readout("No", "shown"), *map(readout, ["No", "Yes", "Yes", "Yes"])),
        sample(readout("Yes", "shown"), *map(readout, ["Yes"] * 4), number="2"),
    ]
    attacked = readout("No", "shown", NOISE)
    mixed = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6))
    # In another order than that of the table.
    found = detected([sample(readout(), attacked, number=n) for n in ("2", "1")], redrawn)
    assert found.signals["visual entropy"].tolist() == pytest.approx([mixed, 0])


def test_auroc_counts_pairs_and_is_of_images() -> None:
    def answers(entropies):
        samples = [
            sample(readout(), readout(variant=NOISE, entropy=e), image=f"{n % 6}")
            for n, e in enumerate(entropies)
        ]
        return detected(samples, [sample(readout(), readout())])

    draw = np.random.default_rng(0)
    usual, suspicious = draw.uniform(0, 1, 30), draw.uniform(0.2, 1.2, 24)
    text = told_apart(answers(suspicious), answers(usual), "entropy")
    pairs = np.mean([[a > b for b in usual] for a in suspicious])
    assert text.split()[0] == f"{pairs:.2f}"
    low, high = (float(end) for end in text.split("[")[1].rstrip("]").split(", "))
    assert low < pairs < high
    assert told_apart(answers([]), answers(usual), "entropy") == "-"
    assert told_apart(answers([None]), answers(usual), "entropy") == "-"


def test_shown_images_come_out_of_the_journal_or_are_made_again(tmp_path) -> None:
    attacked, clean = picture(1), picture()
    journal = Journal(tmp_path / SUBFOLDER, 0)
    journal.add([Entry(b"1", {}, pack_images([attacked])), Entry(b"2", {}, b"an answer")])
    journal.close()
    kept = kept_images(tmp_path)
    shown = readout(image=image_digest(attacked), variant=replace(NOISE, perturbation="pgd"))
    assert list(kept) == [image_digest(attacked)]
    assert pixels(shown, clean, kept).tobytes() == attacked.tobytes()

    noisy = perturb(clean, "gaussian_noise", epsilon=0.1, seed=2)
    again = readout(image=image_digest(noisy), variant=NOISE)
    assert pixels(again, clean, kept).tobytes() == noisy.tobytes()
    with pytest.raises(ValueError, match="other pixels than the run showed"):
        pixels(again, attacked, kept)
