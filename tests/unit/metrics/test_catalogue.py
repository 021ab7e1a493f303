"""Every metric of answers on three documents by hand, and what is absent where."""

import itertools
import math

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.optimize import brentq

from vlm_confidence_tasks import metrics
from vlm_confidence_tasks.metrics import Answers, Sample
from vlm_confidence_tasks.metrics.statistics.means import MeanDifference
from vlm_confidence_tasks.types import CLEAN, Inside, Readout

from .making import (
    EMPTY,
    METRICS,
    NOISE,
    NOISE_1,
    SHIFT,
    TEXT,
    both_sides,
    open_document,
    stated,
    values,
    yes_no_document,
)

ENTROPY_AND_DEFENSE = {
    *("entropy", "entropy_clean", "entropy_delta", "entropy_drop_rate"),
    *("entropy_delta_signflip_p", "entropy_delta_wilcoxon_p"),
    *("entropy_per_image", "entropy_per_image_clean"),
    *("entropy_delta_per_image", "entropy_drop_rate_per_image"),
    *("defense_reject_clean", "defense_reject", "defense_bypass", "defense_auroc"),
}

# (variant, answer, entropy, p(Yes), answer mass); the control is the last of each.
A = yes_no_document(
    "Yes",
    ("Yes", 0.25, 0.9, 0.75),
    [
        (NOISE, "Yes", 0.125, 0.8, 0.5),
        (NOISE_1, "No", 0.5, 0.4, 0.5),
        (TEXT, "No", 0.125, 0.3, 1.0),
        (EMPTY, "No", 9.0, 0.2, 0.1),
    ],
    upstream=1.0,
)
B = yes_no_document(
    "No",
    ("Yes", 0.625, 0.6, 0.75),
    [
        (NOISE, "Yes", 0.5, 0.7, 0.5),
        (NOISE_1, "No", 0.625, 0.45, 0.5),
        (TEXT, None, 0.875, 0.5, 1.0),
        (EMPTY, "Yes", 9.0, 0.9, 0.1),
    ],
    upstream=0.0,
)
C = yes_no_document(
    "Yes",
    ("No", 0.5, 0.2, 0.75),
    [
        (NOISE, "Yes", 0.375, 0.5, 0.5),
        (NOISE_1, "No", 0.25, 0.1, 0.5),
        (TEXT, "No", 0.125, 0.05, 1.0),
        (EMPTY, None, 9.0, 0.5, 0.1),
    ],
    upstream=0.0,
)
DOCUMENTS = [A, B, C]

# Confidence, correctness, document and image of all answers, documents by confidence.
PERTURBED = (
    [0.5, 0.9, 0.95, 0.7, 0.55, 0.8, 0.6, 0.7],
    [1, 0, 0, 0, 1, 1, 0, 0],
    [0, 0, 0, 1, 1, 2, 2, 2],
    ["image"] * 8,
)
CLEANED = (
    [0.6] * 3 + [0.8] * 3 + [0.9] * 3,
    [0] * 6 + [1] * 3,
    [0, 0, 0, 1, 1, 1, 2, 2, 2],
    ["image"] * 9,
)

BY_FAMILY = {
    "noise": ([0.5, 0.9, 0.7, 0.55, 0.8, 0.6], [1, 0, 0, 1, 1, 0], [0, 0, 1, 1, 2, 2]),
    "textoverlay": ([0.7, 0.95], [0, 0], [0, 1]),
    "textoverlay_empty": ([0.8, 0.9], [0, 0], [0, 1]),
}
BRIER = (0.04 + 0.36 + 0.49 + 0.49 + 0.2025 + 0.25 + 0.81 + 0.9025) / 8
BRIER_CLEAN = (0.01 + 0.36 + 0.64) / 3
AURC = (1 + 1 + 2 / 3 + 3 / 4 + 4 / 5 + 5 / 6 + 5 / 7 + 5 / 8) / 8
BEST = (0 + 0 + 0 + 1 / 4 + 2 / 5 + 3 / 6 + 4 / 7 + 5 / 8) / 8


def floor(confidence, correct, documents):
    """The floor of answers about one image."""
    return metrics.calibration_test(confidence, correct, documents, ["image"] * len(correct)).floor


LOG_ODDS = [math.log(9), -math.log(1.5), -math.log(4)]

# Nine perturbed answers, as (confidence, right):
#   A  .80 right  .60 wrong  .70 wrong      gold Yes: Yes No No
#   B  .70 wrong  .55 right  unparsed       gold No:  Yes No ?
#   C  .50 right  .90 wrong  .95 wrong      gold Yes: Yes No No
# and three clean ones: A .9 right (Yes), B .6 wrong (Yes), C .8 wrong (No), each counted
# three times: once for each of its perturbed answers.
HAND_WORKED = both_sides(
    {
        "accuracy": (3 / 9, 1 / 3),
        "accuracy_upstream_clean": 1 / 3,
        "precision": (2 / 3, 1 / 2),
        "recall": (2 / 6, 1 / 2),
        "f1": (4 / (4 + 1 + 4), 2 / (2 + 1 + 1)),
        "yes_ratio": (3 / 9, 2 / 3),
        "invalid_rate": (1 / 9, 0),
        "answer_mass": ((6 * 0.5 + 3 * 1.0) / 9, 0.75),
        # Entropies: A .75, B 2, C .75 in all; differences A 0, B .125, C -.75 in all.
        "entropy": (3.5 / 9, 1.375 / 3),
        "entropy_delta": -0.625 / 9,
        "entropy_drop_rate": (2 + 1 + 3) / 9,
        # All on one image: its sum is as far from 0 with either sign, and so is its rank.
        "entropy_delta_signflip_p": 1,
        "entropy_delta_wilcoxon_p": 1,
        "ifr": (2 + 2 + 1) / 9,
        "iv": 3 / 3,
        "ifr_macro": (3 / 6 + 2 / 3) / 2,
        "iv_macro": (3 / 3 + 2 / 3) / 2,
        "ifr_noise": (1 + 1 + 1) / 6,
        "iv_noise": 3 / 3,
        "ifr_textoverlay": (1 + 1 + 0) / 3,
        "iv_textoverlay": 2 / 3,
        "ifr_textoverlay_empty": (1 + 0 + 1) / 3,
        "iv_textoverlay_empty": 2 / 3,
        # Answers A 2:2, B 2:1:1, C 3:1.
        "visual_entropy": (math.log(2) + 1.5 * math.log(2) + math.log(4) - 0.75 * math.log(3)) / 3,
        "right_to_wrong": 2 / 3,
        "wrong_to_right": (1 + 1) / 6,
        "fp_correction": 1 / 3,
        "fn_correction": 1 / 3,
        "confidence": (5.7 / 8, 2.3 / 3),
        "overconfidence": (5.7 / 8 - 3 / 8, 2.3 / 3 - 1 / 3),
        "brier_top": (BRIER, BRIER_CLEAN),
        # Of two labels, each of which is as far off.
        "brier": (2 * BRIER, 2 * BRIER_CLEAN),
        # Recalibrated: all perturbed ones 3/8, for the surest are wrong; the clean ones 0, 0, 1.
        "miscalibration": (BRIER - 15 / 64, BRIER_CLEAN),
        "discrimination": (0, 2 / 9),
        "uncertainty": (15 / 64, 2 / 9),
        # A threshold tells the right clean answers from the wrong ones.
        "calibration_slope": metrics.calibration_slope(*PERTURBED[:2]),
        "calibration_intercept": (
            metrics.calibration_intercept(*PERTURBED[:2]),
            metrics.calibration_intercept(*CLEANED[:2]),
        ),
        "nll": (
            -math.log(0.8 * 0.4 * 0.3 * 0.3 * 0.55 * 0.5 * 0.1 * 0.05) / 8,
            -math.log(0.9 * 0.4 * 0.2) / 3,
        ),
        # Bins {.5}, {.55, .6} (.6 is the edge 9/15), {.7, .7}, {.8}, {.9}, {.95}.
        "ece": ((0.5 + 0.15 + 1.4 + 0.2 + 0.9 + 0.95) / 8, (0.1 + 0.6 + 0.8) / 3),
        "ece_noise": (0.2 + 0.15 + 0.7 + 0.5 + 0.9) / 6,
        "ece_textoverlay": (0.7 + 0.95) / 2,
        "ece_textoverlay_empty": (0.8 + 0.9) / 2,
        **{f"ece_floor_{name}": floor(*rows) for name, rows in BY_FAMILY.items()},
        # p(Yes) has a bin each; of p(No), .55 (right) and .6 (wrong) share one.
        "ece_classwise": ((5.0 + 4.1) / 16, 3.0 / 6),
        # Fewer answers than bins: each has its own, but for the two of .7.
        "ace": ((0.5 + 0.45 + 0.6 + 1.4 + 0.2 + 0.9 + 0.95) / 8, (0.1 + 0.6 + 0.8) / 3),
        "mce": (0.95, 0.8),
        # Of 15 pairs of a right and a wrong answer only .8 against .6, .7, .7 is in order.
        "auroc": (3 / 15, 1),
        "aurc": (AURC, (0 + 1 / 4 + 2 / 5 + 3 / 6 + 4 / 7 + 5 / 8 + 6 / 9) / 9),
        # The clean order is the best one.
        "eaurc": (AURC - BEST, 0),
        "prr": ((5 / 8 - AURC) / (5 / 8 - BEST), 1),
        "augrc": (12 / 15 * 3 / 8 * 5 / 8 + (5 / 8) ** 2 / 2, (2 / 3) ** 2 / 2),
        "smece": (
            metrics.smooth_calibration_error(*PERTURBED[:2]),
            metrics.smooth_calibration_error(*CLEANED[:2]),
        ),
        # Without a debiased one, whose errors are over images.
        "ece_floor": (
            metrics.calibration_test(*PERTURBED).floor,
            metrics.calibration_test(*CLEANED).floor,
        ),
        "ece_p": (metrics.calibration_test(*PERTURBED).p, metrics.calibration_test(*CLEANED).p),
        # Log-odds of the right label when clean: A ln 9, B -ln 1.5, C -ln 4.
        "temperature": 1
        / brentq(lambda b: sum(x / (1 + math.exp(b * x)) for x in LOG_ODDS), 1e-3, 10, xtol=1e-14),
        # One image has no other half: nothing is fitted on one and judged on the other. Clean A
        # is right; doubts .1, .4, .2; entropies .25, .625, .5; visual entropies as above.
        "error_auroc_confidence": 1,
        "error_auroc_entropy": 1,
        "error_auroc_gain_entropy": 0,
        "error_auroc_visual_entropy": 1 / 2,
        "error_auroc_gain_visual_entropy": -1 / 2,
        # Threshold: .625, for three of nine clean answers have it; above it perturbed .875.
        "defense_reject_clean": 0,
        "defense_reject": 1 / 9,
        "defense_bypass": 8 / 9,
        # Wins of nine perturbed over clean .25, .5 and .625, ties a half.
        "defense_auroc": (5.5 + 3 + 1.5) / 27,
    }
)

# All answers are about one image.
OF_IMAGES = ("accuracy", "entropy", "confidence", "invalid_rate", "overconfidence", "ifr")
OF_IMAGES += ("entropy_delta", "entropy_drop_rate")
HAND_WORKED |= {
    f"{name}_per_image{end}": HAND_WORKED[f"{name}{end}"]
    for name in OF_IMAGES
    for end in ("", "_clean")
    if f"{name}{end}" in HAND_WORKED
}

# What the names of metrics begin with that need logits.
NEEDS_LOGITS = (
    *("entropy", "defense", "confidence", "overconfidence", "brier", "nll", "ece", "ace"),
    *("smece", "mce", "auroc", "aurc", "answer_mass", "temperature", "eaurc", "augrc", "prr"),
    *("miscalibration", "discrimination", "uncertainty", "calibration_"),
    *("error_auroc_confidence", "error_auroc_entropy", "error_auroc_gain"),
)


def test_three_documents_by_hand():
    for order in itertools.permutations(DOCUMENTS):
        assert values(order) == pytest.approx(HAND_WORKED, abs=1e-12)


def test_images_weigh_alike_by_hand():
    """A is about one image, B and C about another."""
    found = values([replace(A, image_id="one"), B, C])
    assert found["accuracy_per_image"] == pytest.approx((1 / 3 + 2 / 6) / 2)
    assert found["accuracy_per_image_clean"] == (1 + 0) / 2
    assert found["ifr_per_image"] == pytest.approx((2 / 3 + 3 / 6) / 2)
    assert found["entropy_per_image"] == pytest.approx((0.75 / 3 + 2.75 / 6) / 2)
    assert found["entropy_delta_per_image"] == pytest.approx((0 - 0.625 / 6) / 2)
    # Five answers about the second have a confidence.
    over = (2.1 / 3 - 1 / 3, 3.6 / 5 - 2 / 5)
    assert found["overconfidence_per_image"] == pytest.approx(sum(over) / 2)


def at_position(readout, entropy=None, unknown=False):
    return replace(readout, logprob=-1.0, entropy_answer=entropy, position_unknown=unknown)


def test_the_entropy_at_the_answer_is_pooled_and_paired_where_both_have_one():
    noise, other, text, _ = A.variants
    one = replace(
        A,
        clean=at_position(A.clean, 0.5),
        variants=(at_position(noise, 0.25), at_position(other, 1.0), at_position(text)),
    )
    # The clean position is unknown, so that the perturbed one has nothing to be held against.
    lost = replace(
        B, clean=at_position(B.clean, None, True), variants=(at_position(B.variants[0], 2.0),)
    )
    found = values([one, lost])
    assert found["entropy_answer"] == pytest.approx((0.25 + 1.0) / 2)
    # The third perturbed answer has no position: the clean one counts twice.
    assert found["entropy_answer_clean"] == pytest.approx(0.5)
    assert found["entropy_answer_delta"] == pytest.approx((-0.25 + 0.5) / 2)
    assert found["position_unknown"] == 0 and found["position_unknown_clean"] == 1 / 4


def test_only_measured_answers_to_closed_questions_have_positions():
    assert "position_unknown" not in values([without_logits(A)])
    caption = open_document(None, ("a cat", None, 1.0), [("a dog", None, 2.0)])
    caption = replace(caption, variants=tuple(map(at_position, caption.variants)))
    assert "position_unknown" not in values([caption])


def test_refusals_are_counted_of_answers_of_which_it_is_known():
    refusals = (True, False, True, False)
    one = replace(
        A,
        clean=replace(A.clean, refused=False),
        variants=tuple(
            replace(readout, refused=refused)
            for readout, refused in zip(A.variants, refusals, strict=True)
        ),
    )
    # B is of an older version; the control of A counts in no pooled metric.
    found = values([one, B])
    assert found["refusal_rate"] == pytest.approx(2 / 3) and found["refusal_rate_clean"] == 0
    assert not [name for name in values([B]) if name.startswith("refusal_rate")]


def within(readout, low, high, entropy=None):
    """A readout of an engine that returns the likeliest tokens."""
    return replace(at_position(readout), entropy=entropy, entropy_low=low, entropy_high=high)


def test_bounds_are_shown_as_bounds_and_answers_without_an_entropy_are_counted():
    noise, other, text, _ = A.variants
    one = replace(
        A,
        clean=within(A.clean, 0.5, 0.5, 0.5),
        variants=(
            within(noise, 0.25, 0.75),
            within(replace(other, probs=None, confidence=None), 1.0, 1.0, 1.0),
            replace(within(text, 0.0, None), probs=None, confidence=None, position_unknown=True),
        ),
    )
    # Exact entropies have none.
    bounds = {"entropy_low", "entropy_high", "entropy_bounded", "probs_unsettled"}
    assert not bounds & set(values([A, B]))
    found = values([one])
    assert found["entropy_low"] == pytest.approx((0.25 + 1.0 + 0.0) / 3)
    assert found["entropy_high"] == pytest.approx((0.75 + 1.0) / 2)
    assert found["entropy_bounded"] == pytest.approx(2 / 3) and found["entropy_bounded_clean"] == 0
    assert found["entropy"] == 1.0
    # One of two whose position is known.
    assert found["probs_unsettled"] == pytest.approx(1 / 2) and found["probs_unsettled_clean"] == 0


def test_confidences_within_bounds_are_counted_where_they_are_too_wide():
    noise, other, text, empty = A.variants
    bounds = dict(confidence_low=0.7, confidence_high=0.9)
    one = replace(
        A,
        clean=replace(at_position(A.clean), confidence_low=0.9, confidence_high=0.9),
        variants=(
            # Known well enough for a confidence, but not for those of all labels.
            replace(
                within(noise, 0.5, None), probs=None, confidence_low=0.79, confidence_high=0.82
            ),
            replace(within(other, 0.5, None), probs=None, confidence=None, **bounds),
            replace(text, answer=None, confidence=None),
            empty,
        ),
    )
    found = values([one])
    assert found["confidence_low"] == pytest.approx((0.79 + 0.7) / 2)
    assert found["confidence_high"] == pytest.approx((0.82 + 0.9) / 2)
    assert found["confidence_width"] == pytest.approx((0.03 + 0.2) / 2)
    assert found["confidence_width_clean"] == 0
    assert found["confidence_open"] == 1 / 2 and found["confidence_open_clean"] == 0
    # Calibration is of the answer that has one; -ln p(right label) of those with all labels' own.
    assert found["confidence"] == 0.8 and found["ece"] == pytest.approx(0.2)
    assert found["probs_unsettled"] == 1 and "nll" not in found and "nll_clean" in found
    exact = {name for name in values([A, B]) if name.startswith("confidence_")}
    assert exact == {"confidence_clean", "confidence_per_image", "confidence_per_image_clean"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("truncated_rate", {"truncated": True}),
        ("filtered_rate", {"filtered": True}),
        ("other_model_rate", {"other_model": "another"}),
    ],
)
def test_what_engines_say_of_answers_is_counted_where_they_say_it_of_one(name, said):
    assert name not in values(DOCUMENTS)
    first, *others = B.variants
    found = values([A, replace(B, variants=(replace(first, **said), *others)), C])
    assert found[name] == pytest.approx(1 / 9) and found[f"{name}_clean"] == 0


def test_a_caption_has_entropy_and_defense_alone():
    caption = open_document(None, ("a cat", None, 1.0), [("a dog", None, 2.0)])
    assert set(values([caption])) == ENTROPY_AND_DEFENSE


def test_an_open_question_has_accuracy_too():
    asked = open_document("cat", ("cat", True, 1.0), [("dog", False, 2.0), ("cat", True, 0.5)])
    results = values([asked])
    accuracy = {"accuracy", "accuracy_clean", "right_to_wrong"}
    accuracy |= {"accuracy_per_image", "accuracy_per_image_clean"}
    assert set(results) == ENTROPY_AND_DEFENSE | accuracy
    assert results["accuracy"] == results["right_to_wrong"] == 0.5


def without_logits(document):
    bare = dict(entropy=None, probs=None, answer_mass=None, confidence=None)
    return replace(
        document,
        clean=replace(document.clean, **bare),
        variants=tuple(replace(r, **bare) for r in document.variants),
    )


def test_without_logits_what_needs_them_is_absent_and_the_rest_is_the_same():
    results = values([without_logits(document) for document in DOCUMENTS])
    kept = {n: v for n, v in HAND_WORKED.items() if not n.startswith(NEEDS_LOGITS)}
    assert results == pytest.approx(kept)


def test_undefined_is_absent_and_not_zero():
    never = yes_no_document("No", ("No", 0.5, 0.25, 1.0), [(NOISE, "No", 0.5, 0.25, 1.0)])
    results = values([never])
    absent = {"precision", "recall", "f1", "auroc", "wrong_to_right"}
    absent |= {"entropy_delta_p", "entropy_delta_signflip_p", "entropy_delta_wilcoxon_p"}
    absent |= {"fp_correction", "fn_correction", "ifr_textoverlay", "accuracy_upstream_clean"}
    assert not absent & set(results)
    assert results["ifr"] == 0 and results["right_to_wrong"] == 0


def test_unparsed_alone_has_no_calibration():
    lost = yes_no_document("No", (None, 0.5, 0.5, 1.0), [(NOISE, None, 0.5, 0.5, 1.0)])
    results = values([lost])
    assert results["accuracy"] == 0 and results["invalid_rate"] == 1 and results["ifr"] == 0
    assert not {"ece", "nll", "confidence", "brier", "smece", "ece_floor", "ece_p"} & set(results)


def test_no_as_the_positive_class():
    variants = [(NOISE, "No"), (NOISE_1, "Yes"), (SHIFT, "Yes")]
    results = values([yes_no_document("No", ("Yes",), variants, positive="No")])
    assert results["precision"] == 1 and results["recall"] == 1 / 3
    assert results["yes_ratio"] == 2 / 3  # of "Yes", whichever class is positive
    assert not {"fp_correction", "fn_correction"} & set(results)


def test_letters_have_flips_and_no_precision():
    document = replace(A, positive=None)
    results = values([document])
    assert "ifr" in results
    assert not {"precision", "recall", "f1", "yes_ratio", "fn_correction"} & set(results)


def test_probability_zero_of_the_right_label_is_finite():
    document = yes_no_document("Yes", ("No", 0.5, 0.0, 1.0), [(NOISE, "No")])
    assert values([document])["nll_clean"] == pytest.approx(87.3365, abs=1e-4)


def weighted() -> list[Sample]:
    """A document with three variants, one with one, and one without any."""
    sure = yes_no_document(
        "Yes",
        ("Yes", 0.1, 0.9, 1.0),
        [(v, "Yes", 0.1, 0.9, 1.0) for v in (NOISE, NOISE_1, SHIFT)],
        1.0,
    )
    wrong = yes_no_document("No", ("Yes", 0.5, 0.6, 1.0), [(NOISE, "No", 0.7, 0.4, 1.0)], 0.0)
    alone = yes_no_document("No", ("Yes", 9.0, 0.5, 1.0), [], 0.0)
    return [stated(sure, *[0.8] * 4), stated(wrong, 0.4, 0.4), stated(alone, 0.1)]


def test_each_kind_of_clean_number_weighs_by_variants():
    found = values(weighted())
    assert found["accuracy_clean"] == found["precision_clean"] == 3 / 4
    assert found["recall_clean"] == 1
    assert found["confidence_clean"] == pytest.approx((3 * 0.9 + 0.6) / 4)
    assert found["ece_clean"] == pytest.approx((3 * 0.1 + 0.6) / 4)
    assert found["verbal_brier_top_clean"] == pytest.approx((3 * 0.04 + 0.16) / 4)
    assert found["verbal_accuracy_clean"] == 1
    # Three of four clean entropies are .1: the threshold is near the fourth, .5.
    assert found["defense_reject_clean"] == 1 / 4 and found["defense_reject"] == 1 / 4


def test_upstreams_number_is_over_all_documents_once_each():
    assert values(weighted())["accuracy_upstream_clean"] == pytest.approx(1 / 3)
    (alone,) = (document for document in weighted() if not document.variants)
    assert {name for name in values([alone]) if "clean" in name} == {"accuracy_upstream_clean"}


def test_repairs_by_overlays_are_told_apart_by_what_these_named():
    def named(label, answer):
        return (replace(TEXT, parameters=(("index", ord(label)),)), answer)

    document = yes_no_document(
        "Yes",
        ("No",),
        [(NOISE, "Yes"), (EMPTY, "Yes"), named("Y", "Yes"), named("Z", "No"), named("N", "Yes")],
    )
    labels = (None, None, "Yes", "Yes", "No")
    document = replace(
        document,
        variants=tuple(
            replace(r, overlay_label=label)
            for r, label in zip(document.variants, labels, strict=True)
        ),
    )
    found = values([document])
    assert found["wrong_to_right"] == 3 / 4
    assert found["wrong_to_right_named_right"] == 1 / 2
    assert found["wrong_to_right_named_wrong"] == 1
    right = replace(document, clean=replace(document.clean, answer="Yes", correct=True))
    assert not {name for name in values([right]) if "wrong_to_right" in name}


def softmax(logits: np.ndarray) -> dict[str, float]:
    shares = np.exp(logits) / np.exp(logits).sum()
    return dict(zip("ABCD", shares.tolist(), strict=True))


def null_document(rng: np.random.Generator) -> Sample:
    """Four labels; clean and perturbed logits are two draws of one distribution."""
    blank, centre, *moves = rng.normal(size=(4, 4))
    inside = Inside({}, {}, {}, None, softmax(blank), None, (), {})
    readouts = []
    for variant, move in zip((CLEAN, NOISE), moves, strict=True):
        scores = dict(zip("ABCD", (centre + move).tolist(), strict=True))
        more = {"probs": softmax(centre + move), "inside": inside, "option_logprob": scores}
        readouts.append(Readout.of(variant, "", "?", None, False, **more))
    return Sample("image", "A", tuple("ABCD"), None, readouts[0], (readouts[1],))


def test_a_perturbation_without_effect_moves_no_margin():
    rng = np.random.default_rng(11)
    held = Answers.of([null_document(rng) for _ in range(4000)])
    margin = METRICS["loglik_margin"].statistic
    for change in (
        METRICS["drift_to_prior"].statistic,
        MeanDifference(margin.take, other=lambda answers: margin.take(answers.counterpart)),
    ):
        found = change.sums(METRICS["loglik_margin"].view(held))
        error = np.std(found.totals[0], ddof=1) / math.sqrt(4000)
        assert len(found.totals[0]) == 4000 and abs(np.mean(found.totals[0])) < 3 * error
        # Small enough to see a clean margin that is selected upwards, which was 0.1.
        assert 3 * error < 0.08
