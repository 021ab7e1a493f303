"""How confidence goes with the noise on what a question names, and what has no mask."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from vlm_confidence_tasks.metrics import Answers, measured_in
from vlm_confidence_tasks.types import Variant

from .making import METRICS, NOISE, stated, values, yes_no_document

NAMES = [name for name, metric in METRICS.items() if "object_noise" in metric.requires]
LEVELS = (0.9, 0.5, 0.1)
WITH = 20


def noised(confidence, where="object"):
    family = "objectnoise" if where == "object" else f"objectnoise_{where}"
    parameters = (("confidence", confidence), ("gamma", 0.005), ("where", where))
    return Variant("object_noise", parameters, 0, family, control=where != "object")


def document(image, clean, token, said, where="object"):
    """A document with p(Yes) and stated certainty of the clean image and at each level."""
    made = yes_no_document(
        "Yes",
        ("Yes", 0.5, clean, 1.0),
        [(noised(c, where), "Yes", 0.5, p, 1.0) for c, p in zip(LEVELS, token, strict=True)],
    )
    return replace(stated(made, 1.0, *said), image_id=image)


def without_mask(image="z"):
    return replace(yes_no_document("No", ("No", 0.5, 0.1, 1.0), []), image_id=image)


# Three have no mask, and one of them an image that another document has too.
SEVERAL = [
    document(f"image {n}", 0.9, (0.8, 0.7, 0.6 + n / 100), (0.9, None, n / WITH))
    for n in range(WITH)
] + [without_mask(image) for image in ("image 0", "image 50", "image 51")]


def test_confidence_that_follows_the_noise_has_1_and_one_that_does_not_none():
    follows = document("a", 0.99, (0.9, 0.8, 0.7), (0.9, 0.5, 0.1))
    assert values([follows])["objectnoise_alignment"] == pytest.approx(1)
    constant = document("a", 0.9, (0.9, 0.9, 0.9), (0.8, 0.9, 1.0))
    found = values([constant])
    assert "objectnoise_alignment" not in found
    # Ranks 4, 3, 2, 1 and 3.5, 1, 2, 3.5.
    assert found["verbal_objectnoise_alignment"] == pytest.approx(-0.5 / 22.5**0.5)


def test_documents_without_a_mask_are_counted_and_are_in_nothing_else():
    found = values(SEVERAL)
    assert found["mask_missing_rate"] == 3 / (WITH + 3)
    with_masks = values(SEVERAL[:WITH])
    assert with_masks.pop("mask_missing_rate") == 0
    same = {name: found[name] for name in with_masks if not name.startswith("verbal_invalid")}
    assert same == {name: with_masks[name] for name in same}


def test_they_exist_where_there_is_noise_on_objects():
    plain = yes_no_document("Yes", ("Yes",), [(NOISE, "No")])
    assert "object_noise" in measured_in(Answers.of(SEVERAL))
    assert "object_noise" not in measured_in(Answers.of([plain]))
    assert values([without_mask()]).keys().isdisjoint(NAMES)
