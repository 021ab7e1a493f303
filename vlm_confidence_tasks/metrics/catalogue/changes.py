"""Pairs of a clean and a perturbed answer: what changed."""

from __future__ import annotations

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.catalogue.metric import (
    DOWN,
    MEAN_HELD,
    PERTURBED,
    RATE_HELD,
    Metric,
    only,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats, Ints
from vlm_confidence_tasks.metrics.inference.means import mean_p
from vlm_confidence_tasks.metrics.inference.permutation import sign_flip_p, wilcoxon_p
from vlm_confidence_tasks.metrics.statistics.effect_sizes import ChangeTest
from vlm_confidence_tasks.metrics.statistics.error_signals import visual_entropies
from vlm_confidence_tasks.metrics.statistics.means import POSITIVE, Mean, Rate


def entropy_change(answers: Answers) -> Floats:
    """Entropy of each answer minus the clean answer's, in nats."""
    change: Floats = answers.entropy - answers.counterpart.entropy
    return change


def entropy_change_at_answer(answers: Answers) -> Floats:
    """Entropy at the answer position minus the clean answer's, in nats."""
    change: Floats = answers.entropy_answer - answers.counterpart.entropy_answer
    return change


def entropy_drop(answers: Answers) -> Floats:
    """Whether each answer's entropy is under the clean one's; "The Confidence Trap", 4."""
    change = entropy_change(answers)
    return only(~np.isnan(change), change < 0)


def broken(answers: Answers) -> Floats:
    """Whether each answer is wrong, where the clean one is right: R->W / (R->W + R->R)."""
    return only(answers.counterpart.correct == 1, 1.0 - answers.correct)


def repaired(answers: Answers) -> Floats:
    """Whether each answer is right, where the clean one is wrong: W->R / (W->R + W->W)."""
    return only(answers.counterpart.correct == 0, answers.correct)


def repaired_named_right(answers: Answers) -> Floats:
    """`repaired`, of the overlays that named the right answer.

    An overlay never names the clean answer: where that is wrong, it may give the right one away.
    """
    return only(answers.overlay_right == 1, repaired(answers))


def repaired_named_wrong(answers: Answers) -> Floats:
    """`repaired`, of the overlays that named another answer than the right one."""
    return only(answers.overlay_right == 0, repaired(answers))


def false_yes_corrected(answers: Answers) -> Floats:
    """Whether each answer is "No", where gold is "No" and the clean answer "Yes".

    An unparsed answer is no correction. Source: "Same Answer, Different Representations"
    (arXiv 2602.06652), on POPE.
    """
    asked = answers.finds_yes & (answers.gold_said == 0) & (answers.counterpart.said == 1)
    return only(asked, answers.said == 0)


def false_no_corrected(answers: Answers) -> Floats:
    """Whether each answer is "Yes", where gold is "Yes" and the clean answer "No".

    A clean answer that could not be read is no false negative. Source: as of
    `false_yes_corrected`.
    """
    asked = answers.finds_yes & (answers.gold_said == 1) & (answers.counterpart.said == 0)
    return only(asked, answers.said == 1)


def mean_change(changes: Floats, images: Ints, counts: Floats) -> float | None:
    """Test the mean change against 0, by the interval of `entropy_delta` inverted."""
    return mean_p(changes, counts, images)


def sign_flip(changes: Floats, images: Ints, counts: Floats) -> float | None:
    """Test whether images' changes are symmetric about 0."""
    return sign_flip_p(changes, images)


METRICS = (
    Metric(
        "entropy_delta",
        Mean(entropy_change),
        "mean H(perturbed) - H(clean), in nats",
        core=PERTURBED,
        per_image=True,
        limits=MEAN_HELD,
        cannot_tell="the direction for each question: see `entropy_drop_rate`",
    ),
    Metric(
        "entropy_delta_p",
        ChangeTest(mean_change, entropy_change),
        "two-sided p of entropy_delta: under 0.05 where its 95% interval excludes 0",
        core=PERTURBED,
        is_p=True,
        limits="under 0.05 in 1 to 8% of true nulls; absent where one image decides",
        needs="30 images",
        cannot_tell="the size of the effect",
    ),
    Metric(
        "entropy_delta_signflip_p",
        ChangeTest(sign_flip, entropy_change),
        "two-sided sign-flip permutation p: images' sums of entropy differences symmetric about 0",
        is_p=True,
        limits="of skewed differences with mean 0 it is under 0.05 in up to 35%",
        needs="10 images",
        cannot_tell="whether the mean moved: skewed differences of mean 0 are not symmetric",
    ),
    Metric(
        "entropy_delta_wilcoxon_p",
        ChangeTest(wilcoxon_p, entropy_change),
        "two-sided Wilcoxon signed-rank p: images' mean entropy differences symmetric about 0",
        is_p=True,
        needs="10 images",
        cannot_tell="whether the mean moved: it may be small where the mean has the other sign",
    ),
    Metric(
        "entropy_answer_delta",
        Mean(entropy_change_at_answer),
        "mean H(perturbed) - H(clean) at the answer position, in nats",
        cannot_tell="as `entropy_answer`",
    ),
    Metric(
        "entropy_drop_rate",
        Rate(entropy_drop),
        "share with H(perturbed) < H(clean)",
        core=PERTURBED,
        per_image=True,
        limits=RATE_HELD,
        cannot_tell="by how much",
    ),
    Metric(
        "visual_entropy",
        Mean(visual_entropies, POSITIVE),
        "mean entropy of a document's answers, in nats",
        higher_is_better=DOWN,
        cannot_tell="as `iv`",
    ),
    Metric(
        "right_to_wrong",
        Rate(broken),
        "share made wrong, of those right on clean images",
        higher_is_better=DOWN,
        needs="300 right",
        cannot_tell="anything about answers that were wrong on clean images",
    ),
    Metric(
        "wrong_to_right",
        Rate(repaired),
        "share made right, of those wrong on clean ones",
        needs="300 wrong",
        cannot_tell="luck: a coin repairs half of the wrong yes/no answers",
    ),
    Metric(
        "wrong_to_right_named_right",
        Rate(repaired_named_right),
        "share made right by overlays that name the right answer, of those wrong on clean images",
        needs="300 wrong",
        cannot_tell="whether the image was read: the overlay gives the answer away",
    ),
    Metric(
        "wrong_to_right_named_wrong",
        Rate(repaired_named_wrong),
        "share made right by overlays that name a wrong answer, of those wrong on clean images",
        needs="300 wrong",
        cannot_tell="as `wrong_to_right`",
    ),
    Metric(
        "fp_correction",
        Rate(false_yes_corrected),
        'share of false "Yes" made "No"',
        needs="300 such",
        cannot_tell="a correction from a drift towards one answer",
    ),
    Metric(
        "fn_correction",
        Rate(false_no_corrected),
        'share of false "No" made "Yes"',
        needs="300 such",
        cannot_tell="as `fp_correction`",
    ),
)
