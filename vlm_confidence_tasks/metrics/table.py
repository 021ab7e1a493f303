"""The table of a task's metrics: what each keeps of a document, and what is made of it.

The harness calls a metric's `value` once a document and its `aggregate` once, on what
all documents kept. Neither depends on the order of documents. A metric that could not
be computed is absent from the results, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

from vlm_confidence_tasks.metrics import _inside as inside
from vlm_confidence_tasks.metrics import _loglik as loglik
from vlm_confidence_tasks.metrics import _payloads as payloads
from vlm_confidence_tasks.metrics import _sources as sources
from vlm_confidence_tasks.metrics import _verbal as verbal
from vlm_confidence_tasks.metrics._calibration import (
    calibration_noise_floor,
    expected_calibration_error,
    maximum_calibration_error,
)
from vlm_confidence_tasks.metrics._checks import Floats
from vlm_confidence_tasks.metrics._payloads import Pick, Source, Value, clean, perturbed
from vlm_confidence_tasks.metrics._ranking import aurc, auroc
from vlm_confidence_tasks.metrics._sources import Pairs
from vlm_confidence_tasks.metrics._spectra import BANDS
from vlm_confidence_tasks.metrics.document import FAMILIES, Document

UP, DOWN, NEITHER = True, False, None
_SIDES: tuple[Pick, Pick] = (clean, perturbed)


@dataclass(frozen=True)
class Metric:
    """One line of a task's results.

    Attributes:
        name: Its name in the results.
        value: What is kept of a document, made of JSON types alone; None if the metric
            does not apply to it. Holds "score" (the document's own mean) and "n" (its
            instances) if and only if the metric is a mean of these. Metrics that keep
            the same have the same function here, so that it need be called only once.
        aggregate: The number made of what was kept, in any order of documents, None if
            it could not be computed. Other keys than the metric's own are left alone.
        higher_is_better: None where neither way is better.
        description: What the number means, in one line.
    """

    name: str
    value: Callable[[Document], Value | None]
    aggregate: Callable[[Sequence[Value]], float | None]
    higher_is_better: bool | None
    description: str


def _mean(name: str, source: Source, better: bool | None, text: str, pick: Pick) -> Metric:
    value = partial(payloads.mean_value, name, source, pick)
    return Metric(name, value, payloads.pooled_mean, better, text)


def _sides(name: str, text: str) -> Iterator[tuple[str, Pick, str]]:
    yield name, perturbed, text.format(images="perturbed images")
    yield f"{name}_clean", clean, text.format(images="clean images")


# Means over answers, on clean and on perturbed images.
_SIDED_MEANS = (
    ("accuracy", sources.correct, UP, "share of right answers to {images}"),
    ("yes_ratio", sources.said_yes, NEITHER, 'share of answers to {images} that are "Yes"'),
    ("entropy", sources.entropy, NEITHER, "mean token entropy on {images}, in nats"),
    ("confidence", sources.confidence, NEITHER, "mean probability of the answers to {images}"),
    ("nll", sources.gold_surprise, DOWN, "mean -ln p(right label) on {images}, in nats"),
    ("invalid_rate", sources.invalid, DOWN, "share of answers to {images} that name no label"),
    ("answer_mass", sources.answer_mass, UP, "mean probability of all labels on {images}"),
    ("verbal_confidence", verbal.confidence, NEITHER, "mean certainty stated of {images}"),
    ("verbal_accuracy", verbal.accuracy, UP, "share of right claims on {images} to be right"),
    ("verbal_invalid_rate", verbal.invalid, DOWN, "share of {images} without a stated certainty"),
    ("loglik_accuracy", loglik.correct, UP, "share of {images} with the right option likeliest"),
    ("loglik_mean_accuracy", loglik.mean_correct, UP, "the same by the mean over tokens, {images}"),
    ("loglik_margin", loglik.margin, NEITHER, "s(clean answer) - s(best other) on {images}, nats"),
    ("loglik_confidence", loglik.confidence, NEITHER, "mean share of the likeliest on {images}"),
    ("loglik_nll", loglik.gold_surprise, DOWN, "mean -ln of the right option's share, {images}"),
)

# Means over pairs of a clean and a perturbed answer.
_PAIRED_MEANS = (
    ("entropy_delta", sources.entropy_difference, NEITHER, "mean H(perturbed) - H(clean), in nats"),
    ("entropy_drop_rate", sources.entropy_drop, NEITHER, "share with H(perturbed) < H(clean)"),
    ("visual_entropy", sources.answer_entropy, DOWN, "mean entropy of a document's answers, nats"),
    ("right_to_wrong", sources.broken, DOWN, "share made wrong, of those right on clean images"),
    ("wrong_to_right", sources.repaired, NEITHER, "share made right, of those wrong on clean ones"),
    ("fp_correction", sources.false_positive_repaired, NEITHER, 'share of false "Yes" made "No"'),
    ("fn_correction", sources.false_negative_repaired, NEITHER, 'share of false "No" made "Yes"'),
)


# Of each channel: means over perturbed answers.
_MOVES = (
    ("drift_{}", inside.drift, "mean 1 - cos of {} vectors, clean and perturbed"),
    ("drift_unflipped_{}", inside.unflipped, "drift of {} vectors where the answer stayed"),
    ("stability_{}", inside.stability, "mean cosine of {} vectors, clean and perturbed"),
    ("stability_l2_{}", inside.distance, "mean L2 distance of {} vectors, clean and perturbed"),
)

# Of a model's inside: means over perturbed answers.
_SHIFTS = (
    ("drift_to_prior", inside.to_prior, "mean approach of the margin to a blank image's, nats"),
    ("drift_to_prior_context", inside.to_prior_context, "mean approach of the context to it"),
    ("dirichlet_delta", inside.dirichlet_delta, "mean change in energy of the vision tokens"),
)


def _noise_floor(confidence: Floats, correct: Floats) -> float:
    return calibration_noise_floor(confidence)


_ace = partial(expected_calibration_error, binning="mass")

# Means over confidences and whether the answers are right.
_GAPS = (
    ("overconfidence", sources.overconfidence, NEITHER, "confidence minus accuracy on {images}"),
    ("brier", sources.squared_gap, DOWN, "mean (confidence - correct)^2 on {images}"),
)

# Functions of all confidences and of whether the answers are right.
_CALIBRATION = (
    ("ece", expected_calibration_error, DOWN, "calibration error on {images}, equal-width bins"),
    ("ace", _ace, DOWN, "calibration error on {images}, equal-mass bins"),
    ("mce", maximum_calibration_error, DOWN, "largest calibration error of a bin on {images}"),
    ("auroc", auroc, UP, "AUROC of confidence for right answers to {images}"),
    ("aurc", aurc, DOWN, "area under the risk-coverage curve on {images}"),
    ("ece_floor", _noise_floor, NEITHER, "ECE on {images} if calibration were perfect"),
)

# Kinds of confidence: prefix of the metrics' names, what is calibrated, its description.
_CONFIDENCES = (
    ("", sources.calibrated, ""),
    ("verbal_", verbal.calibrated, "stated certainty: "),
    ("loglik_", loglik.calibrated, "shares of options: "),
)

_CONFUSION = (
    ("precision", "share of positive answers to {images} that are right"),
    ("recall", "share of positive documents answered positive on {images}"),
    ("f1", "harmonic mean of precision and recall on {images}"),
)

# "Above" is above the 95th percentile of clean entropies.
_DEFENSE = (
    ("defense_reject_clean", "reject_clean", NEITHER, "share of clean images above the threshold"),
    ("defense_reject", "reject", UP, "share of perturbed images above the entropy threshold"),
    ("defense_bypass", "bypass", DOWN, "share of perturbed images that pass the threshold"),
    ("defense_auroc", "auroc", UP, "AUROC of entropy, perturbed against clean; < 0.5: inverted"),
)


def _means() -> Iterator[Metric]:
    for name, source, better, text in _SIDED_MEANS:
        for sided, pick, line in _sides(name, text):
            yield _mean(sided, source, better, line, pick)
    yield _mean(
        "accuracy_upstream_clean",
        sources.upstream,
        UP,
        "upstream's own score of the answers to clean images",
        clean,
    )
    for name, source, better, text in _PAIRED_MEANS:
        yield _mean(name, source, better, text, perturbed)


def _flips(suffix: str, images: str, pick: Pick) -> Iterator[Metric]:
    instance = f"share of {images} images whose answer is not the clean one's"
    yield _mean(f"ifr{suffix}", sources.flip, DOWN, instance, pick)
    document = f"share of documents any of whose {images} images changes the answer"
    yield _mean(f"iv{suffix}", sources.any_flip, DOWN, document, pick)


def _option_flips() -> Iterator[Metric]:
    instance = "share of perturbed images whose likeliest option is not the clean one's"
    yield _mean("loglik_ifr", loglik.flip, DOWN, instance, perturbed)
    document = "share of documents any of whose perturbed images changes the likeliest option"
    yield _mean("loglik_iv", loglik.any_flip, DOWN, document, perturbed)


def _family_flips(families: Iterable[str]) -> Iterator[Metric]:
    for name in families:
        yield from _flips(f"_{name}", name, partial(payloads.of_family, name))


def _calibration(prefix: str, pairs: Pairs, note: str) -> Iterator[Metric]:
    for name, gap, better, text in _GAPS:
        for sided, pick, line in _sides(f"{prefix}{name}", note + text):
            yield _mean(sided, partial(gap, pairs), better, line, pick)
    kept = {pick: partial(payloads.calibration_value, pairs, pick) for pick in _SIDES}
    for name, measure, better, text in _CALIBRATION:
        measured = partial(payloads.from_calibration, measure)
        for sided, pick, line in _sides(f"{prefix}{name}", note + text):
            yield Metric(sided, kept[pick], measured, better, line)


def _claims() -> Iterator[Metric]:
    counted = partial(payloads.from_confusion, attrgetter("f1"))
    for name, pick, line in _sides("verbal_f1", "F1 of claims to be right on {images}"):
        yield Metric(name, partial(payloads.claim_value, pick), counted, UP, line)
    text = "Spearman correlation of stated and token confidence on {images}"
    for name, pick, line in _sides("verbal_alignment", text):
        kept = partial(payloads.alignment_value, pick)
        yield Metric(name, kept, payloads.from_alignment, UP, line)


def _others() -> Iterator[Metric]:
    kept = {pick: partial(payloads.confusion_value, pick) for pick in _SIDES}
    for name, text in _CONFUSION:
        counted = partial(payloads.from_confusion, attrgetter(name))
        for sided, pick, line in _sides(name, text):
            yield Metric(sided, kept[pick], counted, UP, line)
    for name, field, better, line in _DEFENSE:
        defended = partial(payloads.from_defense, attrgetter(field))
        yield Metric(name, payloads.defense_value, defended, better, line)
    yield Metric(
        "entropy_delta_p",
        payloads.difference_value,
        payloads.from_differences,
        NEITHER,
        "two-sided Wilcoxon signed-rank p of documents' mean entropy differences",
    )


def _insides() -> Iterator[Metric]:
    for channel in inside.CHANNELS:
        for name, source, text in _MOVES:
            moved = partial(source, channel)
            yield _mean(name.format(channel), moved, NEITHER, text.format(channel), perturbed)
        between = f"mean 1 - cos of {channel} vectors, clean and of other images"
        control = partial(inside.control, channel)
        yield _mean(f"drift_control_{channel}", control, NEITHER, between, clean)
        kept = partial(payloads.against_control_value, channel)
        for name, measured, text in (
            ("drift_ratio", payloads.from_ratio, "drift over control drift"),
            ("drift_d", payloads.from_effect, "Cohen's d of drift against control drift"),
        ):
            yield Metric(f"{name}_{channel}", kept, measured, NEITHER, f"{text}, {channel} vectors")
    for name, shift, text in _SHIFTS:
        yield _mean(name, shift, NEITHER, text, perturbed)
    for band in BANDS:
        text = f"mean relative change of the image's power, {band} band"
        changed = partial(inside.spectral_delta, band)
        yield _mean(f"spectral_{band}_delta", changed, NEITHER, text, perturbed)
        flipped = partial(inside.spectral_delta_flipped, band)
        text = f"{text}, where the answer flipped"
        yield _mean(f"spectral_{band}_delta_flipped", flipped, NEITHER, text, perturbed)


_FLIPS = (*_flips("", "perturbed", perturbed), *_family_flips(FAMILIES), *_option_flips())
_CALIBRATIONS = tuple(metric for kind in _CONFIDENCES for metric in _calibration(*kind))

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*_means(), *_FLIPS, *_CALIBRATIONS, *_others(), *_claims())
}
INSIDE = {metric.name: metric for metric in _insides()}
METRICS |= INSIDE


def metrics_with(families: Iterable[str]) -> dict[str, Metric]:
    """Return `METRICS`, with the flip rates of families that are not among ours.

    >>> [name for name in metrics_with({"noise", "fog"}) if name not in METRICS]
    ['ifr_fog', 'iv_fog']
    """
    new = sorted(set(families) - set(FAMILIES))
    return METRICS | {metric.name: metric for metric in _family_flips(new)}


def families_of(documents: Iterable[Document]) -> set[str]:
    """Return the families of the perturbations that were shown, controls among them."""
    return {name for document in documents for name in document.families}


def task_metrics(documents: Sequence[Document]) -> dict[str, float]:
    """Compute every metric that can be computed on `documents`; others are absent.

    Raises:
        ValueError: A number that a metric uses is NaN, infinite or out of range.
    """
    results: dict[str, float] = {}
    columns: dict[Callable[[Document], Value | None], list[Value]] = {}
    for name, metric in metrics_with(families_of(documents)).items():
        if metric.value not in columns:
            values = map(metric.value, documents)
            columns[metric.value] = [value for value in values if value is not None]
        number = metric.aggregate(columns[metric.value])
        if number is not None:
            results[name] = number
    return results
