"""Whether answers stand still."""

from __future__ import annotations

from vlm_confidence_tasks.metrics.answers import Answers, first_of_group
from vlm_confidence_tasks.metrics.catalogue.metric import (
    DOWN,
    PERTURBED,
    RATE_HELD,
    Metric,
    only,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.statistics.means import MeanOverFamilies, Rate


def flip(answers: Answers) -> Floats:
    """Whether each answer is another than the clean one (IFR); unparsed is an answer too.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652).
    """
    clean = answers.counterpart
    return only(answers.labelled & clean.labelled, answers.answer != clean.answer)


def any_flip(answers: Answers) -> Floats:
    """Whether any answer is another than the clean one (IV): one number per document.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652).
    """
    return first_of_group(answers.document, flip(answers))


def any_flip_in_family(answers: Answers) -> Floats:
    """Whether any answer of a family is another than the clean one, per document and family."""
    return first_of_group(answers.document * len(answers.families) + answers.family, flip(answers))


METRICS = (
    Metric(
        "ifr",
        Rate(flip),
        "share of perturbed images whose answer is not the clean one's",
        higher_is_better=DOWN,
        core=PERTURBED,
        per_image=True,
        limits=RATE_HELD,
        cannot_tell="whether a flip was for the better: see `right_to_wrong`",
    ),
    Metric(
        "iv",
        Rate(any_flip),
        "share of documents any of whose perturbed images changes the answer",
        higher_is_better=DOWN,
        cannot_tell="it grows with the number of variants: compare equal numbers",
    ),
    Metric(
        "ifr_macro",
        MeanOverFamilies(flip),
        "mean over families of the share of answers that flip",
        higher_is_better=DOWN,
        needs="300 of each family",
        cannot_tell="which family: see `ifr_<family>`",
    ),
    Metric(
        "iv_macro",
        MeanOverFamilies(any_flip_in_family),
        "mean over families of the share of documents that flip",
        higher_is_better=DOWN,
        needs="300 of each family",
        cannot_tell="which family: see `iv_<family>`",
    ),
)
METRICS_BY_FAMILY = (
    Metric(
        "ifr_{family}",
        Rate(flip),
        "share of {family} images whose answer is not the clean one's",
        higher_is_better=DOWN,
        cannot_tell="as `ifr`",
    ),
    Metric(
        "iv_{family}",
        Rate(any_flip),
        "share of documents any of whose {family} images changes the answer",
        higher_is_better=DOWN,
        cannot_tell="as `iv`",
    ),
)
