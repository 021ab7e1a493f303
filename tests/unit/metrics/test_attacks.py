"""Whether attacks reach their goals, and what that is against their controls."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from vlm_confidence_tasks.metrics import Answers, measured_in
from vlm_confidence_tasks.metrics.catalogue import attacks
from vlm_confidence_tasks.types import Variant

from .making import METRICS, NOISE, inside, values, yes_no_document

NAMES = [name for name, metric in METRICS.items() if "attacks" in metric.requires]


def pgd(goal="flip", delta="own", epsilon=0.1, seed=0):
    parameters = (("delta", delta), ("epsilon", epsilon), ("goal", goal), ("steps", 5))
    family = "pgd" if delta == "own" else f"pgd_{delta}"
    return Variant("pgd", parameters, seed, family, control=delta != "own")


def document(*variants, clean=("Yes", 0.2), image="image"):
    made = yes_no_document("Yes", clean, variants)
    return replace(made, image_id=image)


def reached(sample):
    """Whether the first variant reaches its goal, None where that was not measured."""
    found = attacks.reached(Answers.of([sample]).variants)[0]
    return None if np.isnan(found) else found


@pytest.mark.parametrize(
    ("goal", "answer", "entropy", "expected"),
    [
        ("flip", "No", 0.9, 1),
        ("flip", None, 0.9, 0),
        ("flip", "Yes", 0.1, 0),
        ("sure", "No", 0.2, 1),
        ("sure", "No", 0.21, 0),
        ("sure", None, 0.1, 0),
        ("sure", "Yes", 0.1, 0),
        ("unsure", "Yes", 0.21, 1),
        ("unsure", "Yes", 0.2, 0),
        ("unsure", "No", 0.9, 0),
        ("sure", "No", None, None),
        ("hidden", "Yes", 0.2, None),
    ],
)
def test_what_a_goal_asks_for(goal, answer, entropy, expected):
    sample = document((pgd(goal), answer, entropy))
    assert reached(sample) == expected


@pytest.mark.parametrize(
    ("answer", "moved", "expected"), [("Yes", 0.5, 1), ("Yes", 0.49, 0), ("No", 0.9, 0)]
)
def test_hidden_is_as_far_as_another_image(answer, moved, expected):
    sample = document((pgd("hidden"), answer, 0.2))
    given = {"control": {"context": 0.5}}, {"drift": {"context": moved}}
    assert reached(inside(sample, *given)) == expected


@pytest.mark.parametrize(
    ("scores", "expected"),
    [((-3.0, -2.0), 1), ((-0.5, -0.4), 0), ((-3.0, -4.0), 0), (None, None)],
)
def test_loglik_is_another_option_and_the_clean_one_less_likely(scores, expected):
    """Clean: Yes at -1, No at -2."""

    def scored(readout, numbers):
        given = None if numbers is None else dict(zip(("Yes", "No"), numbers, strict=True))
        return replace(readout, option_logprob=given)

    attack = Variant("pgd_hi", (("epsilon", 0.1), ("mode", "low")), family="pgdhi")
    noise = Variant("pgd_hi", (("epsilon", 0.1), ("mode", "noise")), 0, "pgdhi_noise", True)
    sample = document((attack, "No", 0.2), (noise, "Yes", 0.2))
    sample = replace(
        sample,
        clean=scored(sample.clean, (-1.0, -2.0)),
        variants=(scored(sample.variants[0], scores), scored(sample.variants[1], (-1.0, -2.0))),
    )
    assert reached(sample) == expected
    if expected is not None:
        assert values([sample], NAMES)["attack_over_noise"] == expected


def mixed(image="image"):
    """Two strengths; the attack succeeds at both, random signs at one, another's at none."""
    return document(
        (pgd(epsilon=0.1), "No", 0.1),
        (pgd(epsilon=0.2), "No", 0.1),
        (pgd(delta="signs", epsilon=0.1), "Yes", 0.1),
        (pgd(delta="signs", epsilon=0.2), "No", 0.1),
        (pgd(delta="other", epsilon=0.1), "Yes", 0.1),
        (pgd(delta="other", epsilon=0.2), "Yes", 0.1),
        (pgd("sure", epsilon=0.2), "Yes", 0.1),
        (NOISE, "No", 0.1),
        image=image,
    )


def test_numbers_by_hand():
    numbers = values([mixed(), mixed("other")], NAMES)
    assert numbers == pytest.approx(
        {
            "attack_success": 2 / 3,
            "attack_success_flip": 1,
            "attack_success_sure": 0,
            "attack_over_control": 1 - (0 + 0.5) / 2,
            "attack_over_signs": 0.5,
            "attack_over_other": 1,
        }
    )


def test_a_control_of_another_strength_goal_or_seed_is_none():
    sample = document(
        (pgd(), "No", 0.1),
        (pgd(delta="signs", epsilon=0.2), "Yes", 0.1),
        (pgd("sure", delta="signs"), "Yes", 0.1),
        (pgd(delta="other", seed=1), "Yes", 0.1),
    )
    assert set(values([sample], NAMES)) == {"attack_success", "attack_success_flip"}


def test_they_exist_where_something_was_attacked():
    assert "attacks" in measured_in(Answers.of([mixed()]))
    assert "attacks" not in measured_in(Answers.of([document((NOISE, "No", 0.1))]))
