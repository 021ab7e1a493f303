"""What moves inside the model."""

from __future__ import annotations

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.catalogue.flips import flip
from vlm_confidence_tasks.metrics.catalogue.metric import Metric, only
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.functional.drift import cohens_d, cohens_dz
from vlm_confidence_tasks.metrics.statistics.effect_sizes import EffectSize
from vlm_confidence_tasks.metrics.statistics.means import POSITIVE, Mean
from vlm_confidence_tasks.metrics.statistics.ratios import SumRatio
from vlm_confidence_tasks.types import Measure

INSIDE: frozenset[Measure] = frozenset({"representations"})
SAME_QUESTION: frozenset[Measure] = INSIDE | {"same_question"}


def drift(answers: Answers) -> Floats:
    """1 - cos of each vector with the clean image's."""
    return answers.drift


def unflipped_drift(answers: Answers) -> Floats:
    """Drift of each answer that is the clean one."""
    return only(flip(answers) == 0, answers.drift)


def stability(answers: Answers) -> Floats:
    """Cosine of each vector with the clean image's."""
    return 1.0 - answers.drift


def control(answers: Answers) -> Floats:
    """Mean drift between the clean image and other images, once for each drift.

    So control and drift weigh documents alike, and the ratio of the means is the drift ratio.
    """
    return only(~np.isnan(answers.drift), answers.counterpart.control)


def control_same(answers: Answers) -> Floats:
    """Mean drift to the same question about other images, once for each drift."""
    return only(~np.isnan(answers.drift), answers.counterpart.control_same)


def to_prior(answers: Answers) -> Floats:
    """How much nearer each answer's margin is to that of a blank image than the clean one's.

    |m(clean) - m(blank)| - |m(variant) - m(blank)| in nats.
    """
    nearer: Floats = answers.counterpart.prior_margin - answers.prior_margin
    return nearer


def to_prior_context(answers: Answers) -> Floats:
    """How much nearer each context is to that of a blank image than the clean one's.

    (1 - cos(clean, blank)) - (1 - cos(variant, blank)).
    """
    nearer: Floats = answers.counterpart.prior_drift - answers.prior_drift
    return nearer


def energy_change(answers: Answers) -> Floats:
    """Energy of each variant's vision tokens minus the clean image's."""
    change: Floats = answers.dirichlet_energy - answers.counterpart.dirichlet_energy
    return change


def power_change(answers: Answers) -> Floats:
    """Relative change of each image's power in a band; none where the clean power is 0."""
    clean = answers.counterpart.spectrum
    return only(clean != 0, (answers.spectrum - clean) / np.where(clean != 0, clean, 1.0))


def power_change_flipped(answers: Answers) -> Floats:
    """`power_change`, of the answers that are not the clean one."""
    return only(flip(answers) == 1, power_change(answers))


METRICS_BY_CHANNEL = (
    Metric(
        "drift_{channel}",
        Mean(drift, POSITIVE),
        "mean 1 - cos of {channel} vectors, clean and perturbed",
        requires=INSIDE,
        cannot_tell="how much is much: see `drift_ratio_<channel>`; compare only within a model",
    ),
    Metric(
        "drift_unflipped_{channel}",
        Mean(unflipped_drift, POSITIVE),
        "drift of {channel} vectors where the answer stayed",
        requires=INSIDE,
        cannot_tell="whether the answer stayed by luck",
    ),
    Metric(
        "stability_{channel}",
        Mean(stability),
        "mean cosine of {channel} vectors, clean and perturbed",
        requires=INSIDE,
        cannot_tell="as `drift_<channel>`",
    ),
    Metric(
        "stability_l2_{channel}",
        Mean(lambda a: a.distance, POSITIVE),
        "mean L2 distance of {channel} vectors, clean and perturbed",
        requires=INSIDE,
        cannot_tell="as `drift_<channel>`",
    ),
    Metric(
        "drift_control_{channel}",
        Mean(control, POSITIVE),
        "mean 1 - cos of {channel} vectors, clean and of other images",
        requires=INSIDE,
        needs="25 images",
        cannot_tell="drift between images at large, where the run has few",
    ),
    Metric(
        "drift_ratio_{channel}",
        SumRatio(drift, control),
        "drift over control drift of other images, {channel} vectors",
        requires=INSIDE,
        needs="25 images",
        cannot_tell="the spread over documents: see `drift_d_<channel>`",
    ),
    Metric(
        "drift_d_{channel}",
        EffectSize(cohens_d, drift, control),
        "Cohen's d of drift against control drift of other images, {channel} vectors",
        requires=INSIDE,
        needs="100",
        cannot_tell="the size of drift: it is large where drift hardly varies",
    ),
    Metric(
        "drift_dz_{channel}",
        EffectSize(cohens_dz, drift, control),
        "mean difference of drift and control drift of other images, over the differences' SD, "
        "{channel} vectors",
        requires=INSIDE,
        needs="100",
        cannot_tell="comparisons with `drift_d_<channel>`, which has another spread",
    ),
    Metric(
        "drift_control_same_{channel}",
        Mean(control_same, POSITIVE),
        "mean 1 - cos of {channel} vectors, clean and of the same question about other images",
        requires=SAME_QUESTION,
        needs="25 images",
        cannot_tell="as `drift_control_<channel>`; of 4 images per question",
    ),
    Metric(
        "drift_ratio_same_{channel}",
        SumRatio(drift, control_same),
        "drift over control drift of the same question about other images, {channel} vectors",
        requires=SAME_QUESTION,
        needs="25 images",
        cannot_tell="as `drift_ratio_<channel>`",
    ),
    Metric(
        "drift_d_same_{channel}",
        EffectSize(cohens_d, drift, control_same),
        "Cohen's d of drift against control drift of the same question about other images, "
        "{channel} vectors",
        requires=SAME_QUESTION,
        needs="100",
        cannot_tell="as `drift_d_<channel>`",
    ),
    Metric(
        "drift_dz_same_{channel}",
        EffectSize(cohens_dz, drift, control_same),
        "mean difference of drift and control drift of the same question about other images, over "
        "the differences' SD, {channel} vectors",
        requires=SAME_QUESTION,
        needs="100",
        cannot_tell="as `drift_dz_<channel>`",
    ),
)
METRICS = (
    Metric(
        "drift_to_prior",
        Mean(to_prior),
        "mean approach of the margin to a blank image's, nats",
        requires=INSIDE,
        cannot_tell="whether the clean image was used: see `prior_probs` in the samples",
    ),
    Metric(
        "drift_to_prior_context",
        Mean(to_prior_context),
        "mean approach of the context to a blank image's",
        requires=INSIDE,
        cannot_tell="as `drift_<channel>`",
    ),
    Metric(
        "dirichlet_delta",
        Mean(energy_change),
        "mean change in energy of the vision tokens",
        requires=INSIDE,
        cannot_tell="comparisons between models: it has the tokens' unit",
    ),
)
METRICS_BY_BAND = (
    Metric(
        "spectral_{band}_delta",
        Mean(power_change),
        "mean relative change of the image's power, {band} band",
        requires=INSIDE,
        cannot_tell="anything about the model; of a flat image a change is large",
    ),
    Metric(
        "spectral_{band}_delta_flipped",
        Mean(power_change_flipped),
        "mean relative change of the image's power, {band} band, where the answer flipped",
        requires=INSIDE,
        cannot_tell="as `spectral_<band>_delta`",
    ),
)
