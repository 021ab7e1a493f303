"""Metrics of stated certainty and of option likelihoods, by hand and against others."""

import itertools
import math

import numpy as np
import pytest
from msgspec.structs import replace

from vlm_confidence_tasks import metrics

from .making import METRICS, NOISE, NOISE_1, both_sides, scored, stated, values, yes_no_document


def calibration(prefix, side, documents):
    """The calibration measures of answers of each document, worked out elsewhere."""
    confidence, correct = zip(*itertools.chain(*documents), strict=True)
    owners = [name for name, pairs in zip("ab", documents, strict=True) for _ in pairs]
    test = metrics.calibration_test(confidence, correct, owners, owners)
    found = {
        "ece_floor": test.floor,
        "ece_p": test.p,
        "ece_debiased": metrics.debiased_calibration_error(confidence, correct, owners),
        "smece": metrics.smooth_calibration_error(confidence, correct),
    }
    return {f"{prefix}{name}{side}": number for name, number in found.items() if number is not None}


def prefixed(results, prefix):
    return {name: value for name, value in results.items() if name.startswith(prefix)}


# Perturbed: right .8, wrong .3, wrong (no number), unparsed .5, which calibration leaves out.
# Clean: right .9, wrong .5, each counted twice.
ONE = yes_no_document(
    "Yes", ("Yes", 0.5, 0.9, 1.0), [(NOISE, "Yes", 0.5, 0.7, 1.0), (NOISE_1, "No", 0.5, 0.4, 1.0)]
)
TWO = yes_no_document(
    "No", ("Yes", 0.5, 0.6, 1.0), [(NOISE, "Yes", 0.5, 0.8, 1.0), (NOISE_1, None, 0.5, 0.5, 1.0)]
)
# Each on an image of its own: errors over images exist.
ONE, TWO = (replace(document, image_id=name) for document, name in ((ONE, "a"), (TWO, "b")))
STATED = [stated(ONE, 0.9, 0.8, 0.3), stated(TWO, 0.5, None, 0.5)]
VERBAL = both_sides(
    {
        "verbal_confidence": (1.6 / 3, 0.7),
        "verbal_invalid_rate": (1 / 4, 0),
        # Claims: right true, wrong not claimed, nothing said, wrong claimed at .5.
        "verbal_accuracy": (2 / 4, 1 / 2),
        "verbal_f1": (2 / (2 + 1 + 0), 2 / (2 + 1 + 0)),
        "verbal_overconfidence": (1.1 / 2 - 1 / 2, 0.7 - 0.5),
        # All that count are on one image when perturbed, and clean ones half on each.
        "verbal_overconfidence_per_image": (1.1 / 2 - 1 / 2, 0.7 - 0.5),
        "verbal_brier_top": ((0.04 + 0.09) / 2, (0.01 + 0.25) / 2),
        # The order is right: recalibrated, all would be 0 or 1.
        "verbal_miscalibration": ((0.04 + 0.09) / 2, (0.01 + 0.25) / 2),
        "verbal_discrimination": (1 / 4, 1 / 4),
        "verbal_uncertainty": (1 / 4, 1 / 4),
        # Of one right and one wrong answer, the middle of both log-odds becomes 0.
        "verbal_calibration_intercept": (-math.log(4 * 3 / 7) / 2, -math.log(9 * 1) / 2),
        "verbal_ece": ((0.2 + 0.3) / 2, (0.1 + 0.5) / 2),
        "verbal_ace": ((0.2 + 0.3) / 2, (0.1 + 0.5) / 2),
        "verbal_mce": (0.3, 0.5),
        "verbal_auroc": (1, 1),
        "verbal_aurc": ((0 + 1 / 2) / 2, (0 + 0 + 1 / 3 + 2 / 4) / 4),
        "verbal_eaurc": (0, 0),
        "verbal_augrc": (1 / 8, 1 / 8),
        "verbal_prr": (1, 1),
        **calibration("verbal_", "", [[(0.8, 1), (0.3, 0)], []]),
        **calibration("verbal_", "_clean", [[(0.9, 1)] * 2, [(0.5, 0)] * 2]),
        # (.8, .7) and (.3, .6) have both: the wrong "No" has the confidence 1 - .4.
        "verbal_alignment": (1, 1),
    }
)

# s(Yes), s(No) with their means; the likeliest: clean Yes, perturbed Yes, No; clean Yes,
# perturbed Yes, No. Gold Yes, No.
SCORED = [
    scored(ONE, ((-1, -1), (-3, -0.5)), ((-1, -1), (-2, -2)), ((-4, -4), (-1, -1))),
    scored(TWO, ((-1, -1), (-2, -2)), ((-2, -2), (-4, -1)), ((-3, -3), (-1, -1))),
]


def sure(gap):
    return 1 / (1 + math.exp(-gap))


SHARES = [(sure(1), 1), (sure(3), 0), (sure(2), 0), (sure(2), 1)]
TOP = sum((p - hit) ** 2 for p, hit in SHARES) / 4
TOP_CLEAN = ((1 - sure(2)) ** 2 + sure(1) ** 2) / 2
AREA, BEST = (1 + 1.5 / 2 + 2 / 3 + 2 / 4) / 4, (0 + 0 + 1 / 3 + 2 / 4) / 4
LOGLIK = both_sides(
    {
        "loglik_accuracy": (2 / 4, 1 / 2),
        "loglik_mean_accuracy": (3 / 4, 0),
        "loglik_margin": ((1 + 3 + 2 + 2) / 4, (2 + 1) / 2),
        "loglik_ifr": 2 / 4,
        "loglik_iv": 2 / 2,
        "loglik_confidence": (sum(p for p, _ in SHARES) / 4, (sure(2) + sure(1)) / 2),
        "loglik_overconfidence": (
            sum(p for p, _ in SHARES) / 4 - 2 / 4,
            (sure(2) + sure(1)) / 2 - 1 / 2,
        ),
        # As many on each image.
        "loglik_overconfidence_per_image": (
            sum(p for p, _ in SHARES) / 4 - 2 / 4,
            (sure(2) + sure(1)) / 2 - 1 / 2,
        ),
        "loglik_brier": (2 * TOP, 2 * TOP_CLEAN),
        "loglik_brier_top": (TOP, TOP_CLEAN),
        # The order of perturbed answers is wrong: recalibrated, all would be 1/2.
        "loglik_miscalibration": (TOP - 1 / 4, TOP_CLEAN),
        "loglik_discrimination": (0, 1 / 4),
        "loglik_uncertainty": (1 / 4, 1 / 4),
        # Log-odds 1, 2 of right answers and 2, 3 of wrong ones; 2 and 1.
        "loglik_calibration_intercept": (-2, -(2 + 1) / 2),
        # Each share of Yes in a bin of its own; those of No are as far off.
        "loglik_ece_classwise": (
            (1 - sure(1) + sure(3) + sure(2) + 1 - sure(2)) / 4,
            (1 - sure(2) + sure(1)) / 2,
        ),
        "loglik_nll": (
            -math.log(sure(1) * sure(-3) * sure(-2) * sure(2)) / 4,
            -math.log(sure(2) * sure(-1)) / 2,
        ),
        # Bins: sure(1) = .73, the two of sure(2) = .88 together, sure(3) = .95.
        "loglik_ece": (
            (1 - sure(1) + 2 * (sure(2) - 0.5) + sure(3)) / 4,
            (1 - sure(2) + sure(1)) / 2,
        ),
        "loglik_ace": (
            (1 - sure(1) + 2 * (sure(2) - 0.5) + sure(3)) / 4,
            (1 - sure(2) + sure(1)) / 2,
        ),
        "loglik_mce": (sure(3), sure(1)),
        # Right at .88 and .73; of four pairs with wrong .95, .88 only a tie counts.
        "loglik_auroc": (0.5 / 4, 1),
        "loglik_aurc": (AREA, BEST),
        "loglik_eaurc": (AREA - BEST, 0),
        "loglik_augrc": ((1 - 0.5 / 4) / 4 + 1 / 8, 1 / 8),
        "loglik_prr": ((1 / 2 - AREA) / (1 / 2 - BEST), 1),
        # Gaps of the right option 2 and -1: 2 / (1 + x^2) = x / (1 + x) at x = e^(1/T).
        "loglik_temperature": 1 / math.log(np.roots([1, 0, -1, -2])[0].real),
        **calibration("loglik_", "", [SHARES[:2], SHARES[2:]]),
        **calibration("loglik_", "_clean", [[(sure(2), 1)] * 2, [(sure(1), 0)] * 2]),
    }
)


@pytest.mark.parametrize(
    ("documents", "prefix", "expected"),
    [(STATED, "verbal_", VERBAL), (SCORED, "loglik_", LOGLIK)],
)
def test_two_documents_by_hand(documents, prefix, expected):
    for order in itertools.permutations(documents):
        assert prefixed(values(order), prefix) == pytest.approx(expected, abs=1e-12)


def test_every_metric_of_the_protocols_is_worked_by_hand():
    for protocol, expected in (("verbal", VERBAL), ("loglik", LOGLIK)):
        # One of the two documents has no answer with a certainty: there are no errors over images.
        undefined = {"verbal_ece_debiased"} if protocol == "verbal" else set()
        # No slope fits answers whose order is perfect, or perfectly wrong.
        undefined |= {f"{protocol}_calibration_slope{side}" for side in ("", "_clean")}
        named = {name for name, m in METRICS.items() if m.requires == {protocol}}
        # What one half of the images is judged by is in statistics/test_refitted.py.
        named -= {name for name in named if name.startswith("error_") or "_ts" in name}
        named -= {name for name in named if "_iso" in name}
        assert named == set(expected) | undefined


def test_the_other_metrics_do_not_see_the_protocols():
    for documents in (STATED, SCORED):
        results = values(documents)
        bare = [
            replace(d, clean=without(d.clean), variants=tuple(map(without, d.variants)))
            for d in documents
        ]
        left = {n: v for n, v in results.items() if not METRICS[n].requires}
        assert values(bare) == left and len(left) < len(results)


def without(readout):
    names = ("verbal_text", "verbal_confidence", "option_logprob", "option_logprob_mean")
    return replace(readout, **dict.fromkeys(names))


def test_no_number_at_all_is_counted_and_nothing_else():
    document = stated(yes_no_document("Yes", ("Yes",), [(NOISE, "No")]), None, None)
    assert prefixed(values([document]), "verbal_") == {
        "verbal_invalid_rate": 1,
        "verbal_invalid_rate_clean": 1,
        "verbal_accuracy": 0,
        "verbal_accuracy_clean": 0,
        "verbal_f1_clean": 0,
    }


def test_likelihoods_too_small_for_a_float_are_still_told_apart():
    document = scored(
        yes_no_document("No", ("Yes",), [(NOISE, "Yes")]),
        ((-2000, -200), (-2001, -200)),
        ((-5000, -500), (-1000, -100)),
    )
    results = values([document])
    assert results["loglik_confidence_clean"] == pytest.approx(sure(1))
    assert results["loglik_nll"] == 0 and results["loglik_confidence"] == 1


def test_a_stated_certainty_out_of_range_is_refused():
    document = stated(yes_no_document("Yes", ("Yes",), [(NOISE, "No")]), 1.5, 0.5)
    with pytest.raises(ValueError, match="1.5"):
        values([document])
