"""Whether confidence goes with the evidence that noise on the named things leaves."""

from __future__ import annotations

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.catalogue.metric import (
    DOCUMENTS,
    SHOWN,
    Metric,
    only,
)
from vlm_confidence_tasks.metrics.catalogue.stated_certainty import VERBAL
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.statistics.means import Rate
from vlm_confidence_tasks.metrics.statistics.rankings import Correlation
from vlm_confidence_tasks.types import Measure

OBJECT_NOISE: frozenset[Measure] = frozenset({"object_noise"})


def without_mask(answers: Answers) -> Floats:
    """Whether a document has no variants, since nothing that it names was found."""
    assert answers.whole is not None
    shown = np.isin(answers.document, answers.whole.variants.document)
    return only(np.ones_like(shown), ~shown)


METRICS = (
    Metric(
        "objectnoise_alignment",
        Correlation(lambda a: a.noise_confidence, lambda a: a.confidence),
        "Spearman correlation of token confidence with that of the noise on the named things",
        sides=SHOWN,
        requires=OBJECT_NOISE,
        needs="100 images",
        cannot_tell="whether the place matters: see `_objectnoise_outside` and `_global`",
    ),
    Metric(
        "verbal_objectnoise_alignment",
        Correlation(lambda a: a.noise_confidence, lambda a: a.stated),
        "Spearman correlation of stated confidence with that of the noise on the named things",
        sides=SHOWN,
        requires=OBJECT_NOISE | VERBAL,
        needs="100 images",
        cannot_tell="as `objectnoise_alignment`",
    ),
    Metric(
        "mask_missing_rate",
        Rate(without_mask),
        "share of documents without a mask, whose perturbed images are left out",
        sides=DOCUMENTS,
        requires=OBJECT_NOISE,
        needs="100",
        cannot_tell="whether the masks are right",
    ),
)
