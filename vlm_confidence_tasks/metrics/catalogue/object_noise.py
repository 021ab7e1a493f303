"""Whether confidence goes with the evidence that noise on the named things leaves."""

from __future__ import annotations

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.catalogue.metric import (
    DOCUMENTS,
    NEITHER,
    SHOWN,
    Metric,
    only,
)
from vlm_confidence_tasks.metrics.catalogue.stated_certainty import (
    VERBAL,
    stated,
    token_confidence,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.statistics.means import Rate
from vlm_confidence_tasks.metrics.statistics.rankings import Correlation
from vlm_confidence_tasks.types import Measure

OBJECT_NOISE: frozenset[Measure] = frozenset({"object_noise"})


def noise_confidence(answers: Answers) -> Floats:
    """How sure one can still be of the things under the noise: 1 on the clean image."""
    return answers.noise_confidence


def without_mask(answers: Answers) -> Floats:
    """Whether a document has no variants, since nothing that it names was found."""
    assert answers.whole is not None
    shown = np.isin(answers.document, answers.whole.variants.document)
    return only(np.ones_like(shown), ~shown)


METRICS = (
    Metric(
        "objectnoise_alignment",
        Correlation(noise_confidence, token_confidence),
        NEITHER,
        "Spearman correlation of token confidence with that of the noise on the named things",
        sides=(SHOWN,),
        requires=OBJECT_NOISE,
    ),
    Metric(
        "verbal_objectnoise_alignment",
        Correlation(noise_confidence, stated),
        NEITHER,
        "Spearman correlation of stated confidence with that of the noise on the named things",
        sides=(SHOWN,),
        requires=OBJECT_NOISE | VERBAL,
    ),
    Metric(
        "mask_missing_rate",
        Rate(without_mask),
        NEITHER,
        "share of documents without a mask, whose perturbed images are left out",
        sides=(DOCUMENTS,),
        requires=OBJECT_NOISE,
    ),
)
