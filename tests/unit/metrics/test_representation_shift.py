"""Metrics of hidden states and spectra, by hand."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from .making import METRICS, NOISE, NOISE_1, inside, values, yes_no_document

REPRESENTATIONS = {name for name, m in METRICS.items() if "representations" in m.requires}


def document(gold, clean, *variants):
    return yes_no_document(gold, ("Yes", 0.5, clean, 1.0), variants)


POWER = {"low": 4.0, "mid": 2.0, "high": 0.0}
# p(Yes) when clean .8, .6; on the blank image .5, .9.
FIRST = inside(
    document("Yes", 0.8, (NOISE, "Yes", 0.5, 0.7, 1.0), (NOISE_1, "No", 0.5, 0.2, 1.0)),
    {
        "control": {"context": 0.4, "vision": 0.8},
        "control_same": {"context": 0.3, "vision": 0.1},
        "prior_drift": 0.5,
        "prior_probs": {"Yes": 0.5, "No": 0.5},
        "dirichlet_energy": 3.0,
        "spectrum": POWER,
    },
    {
        "drift": {"context": 0.1, "vision": 0.2},
        "distance": {"context": 2.0},
        "prior_drift": 0.3,
        "dirichlet_energy": 4.0,
        "spectrum": {"low": 5.0, "mid": 1.0, "high": 1.0},
    },
    {
        "drift": {"context": 0.6},
        "distance": {"context": 4.0},
        "prior_drift": 0.6,
        "dirichlet_energy": 1.0,
        "spectrum": {"low": 6.0, "mid": 2.0, "high": 0.0},
    },
)
SECOND = inside(
    document("No", 0.6, (NOISE, "Yes", 0.5, 0.9, 1.0)),
    {
        # No vision was measured of its variant: its control counts in no number.
        "control": {"context": 0.2, "vision": 0.3},
        "control_same": {"context": 0.1, "vision": 0.9},
        "prior_drift": 0.4,
        "prior_probs": {"Yes": 0.9, "No": 0.1},
        "dirichlet_energy": None,
        "spectrum": POWER,
    },
    {
        "drift": {"context": 0.5},
        "distance": {"context": 6.0},
        "prior_drift": 0.4,
        "dirichlet_energy": 2.0,
        "spectrum": {"low": 4.0, "mid": 3.0, "high": 0.0},
    },
)
DOCUMENTS = [FIRST, SECOND]


def logit(p):
    return math.log(p / (1 - p))


EXPECTED = {
    "drift_context": 1.2 / 3,
    "drift_vision": 0.2,
    "stability_context": 1.8 / 3,
    "stability_vision": 0.8,
    "stability_l2_context": 12 / 3,
    # The flipped answer is left out.
    "drift_unflipped_context": 0.6 / 2,
    "drift_unflipped_vision": 0.2,
    # Once for each drift: two of .4 and one of .2.
    "drift_control_context": 1.0 / 3,
    "drift_control_vision": 0.8,
    "drift_ratio_context": 1.2 / 1.0,
    "drift_ratio_vision": 0.2 / 0.8,
    # Documents' means .35 and .5 (variance .01125) against .4 and .2 (variance .02).
    "drift_d_context": (0.425 - 0.3) / math.sqrt((0.01125 + 0.02) / 2),
    # Differences -.05 and .3: mean .125, SD .35 / sqrt(2).
    "drift_dz_context": 0.125 / (0.35 / math.sqrt(2)),
    # Two of .3 and one of .1.
    "drift_control_same_context": 0.7 / 3,
    "drift_control_same_vision": 0.1,
    "drift_ratio_same_context": 1.2 / 0.7,
    "drift_ratio_same_vision": 0.2 / 0.1,
    # The same means against .3 and .1.
    "drift_d_same_context": (0.425 - 0.2) / math.sqrt((0.01125 + 0.02) / 2),
    # Differences .05 and .4.
    "drift_dz_same_context": 0.225 / (0.35 / math.sqrt(2)),
    # The wrong answer moved more, .5 against .35, and was less sure, .6 against .8.
    "error_auroc_drift": 1.0,
    "error_auroc_gain_drift": 0.0,
    # Distances of the margin to the blank's: clean, then variants.
    "drift_to_prior": (
        (logit(0.8) - logit(0.7)) + (logit(0.8) - abs(logit(0.2))) + (logit(0.9) - logit(0.6) - 0.0)
    )
    / 3,
    "drift_to_prior_context": (0.2 - 0.1 + 0.0) / 3,
    "dirichlet_delta": (1 - 2) / 2,
    "spectral_low_delta": (0.25 + 0.5 + 0) / 3,
    "spectral_mid_delta": (-0.5 + 0 + 0.5) / 3,
    "spectral_low_delta_flipped": 0.5,
    "spectral_mid_delta_flipped": 0.0,
}


def test_every_row_by_hand():
    found = {name: value for name, value in values(DOCUMENTS).items() if name in REPRESENTATIONS}
    assert found == pytest.approx(EXPECTED)


def test_what_was_not_measured_is_absent():
    plain = [
        inside(FIRST, None, None, None),
        inside(SECOND, None, None),
    ]
    assert not REPRESENTATIONS & set(values(plain))


def test_the_prior_of_four_options_has_the_likeliest_blank_label_as_base():
    probs = {"A": 0.1, "B": 0.6, "C": 0.2, "D": 0.1}
    moved = {"A": 0.1, "B": 0.3, "C": 0.1, "D": 0.5}
    blank = {"A": 0.7, "B": 0.1, "C": 0.1, "D": 0.1}
    one = inside(FIRST, {"prior_probs": blank}, {}, {})
    one = replace(
        one,
        labels=tuple("ABCD"),
        gold="A",
        positive=None,
        clean=replace(one.clean, answer="B", probs=probs),
        variants=(replace(one.variants[0], answer="D", probs=moved),),
    )
    base, clean, far = math.log(0.7 / 0.1), math.log(0.1 / 0.6), math.log(0.1 / 0.5)
    expected = abs(clean - base) - abs(far - base)
    assert values([one])["drift_to_prior"] == pytest.approx(expected)
