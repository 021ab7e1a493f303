"""All metrics, a `Metric` each.

A metric's name is built here and nowhere taken apart again. A metric that could not be
computed is absent from the results, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from operator import attrgetter

from vlm_confidence_tasks.metrics import intervals, reducers
from vlm_confidence_tasks.metrics.extractors import generated_answers as answers
from vlm_confidence_tasks.metrics.extractors import option_loglik as loglik
from vlm_confidence_tasks.metrics.extractors import representation_shift as representations
from vlm_confidence_tasks.metrics.extractors import values
from vlm_confidence_tasks.metrics.extractors import verbal_confidence as verbal
from vlm_confidence_tasks.metrics.extractors.values import Numbers, Select, clean, perturbed
from vlm_confidence_tasks.metrics.functional.calibration import (
    expected_calibration_error,
    maximum_calibration_error,
    smooth_calibration_error,
)
from vlm_confidence_tasks.metrics.functional.checks import Floats
from vlm_confidence_tasks.metrics.functional.ranking import aurc, auroc
from vlm_confidence_tasks.metrics.functional.spectra import BANDS
from vlm_confidence_tasks.metrics.inference.calibration_error import Kind
from vlm_confidence_tasks.metrics.metric import Extract, IntervalFunction, Metric

UP, DOWN, NEITHER = True, False, None
_SELECT: tuple[Select, ...] = (clean, perturbed)

Measure = Callable[[Floats, Floats], float | None]
Reduce = Callable[[reducers.Values], float | None]

# What a task may measure besides its answers, as in `Metric.requires`.
ALWAYS: frozenset[str] = frozenset()
VERBAL, LOGLIK, REPRESENTATIONS = map(frozenset, (["verbal"], ["loglik"], ["representations"]))
SAME_QUESTION = REPRESENTATIONS | {"same_question"}


# The kinds of means, by how their intervals are made.
RATE: IntervalFunction = intervals.of_rate
MEAN, SHARE, POSITIVE = (
    partial(intervals.of_mean, within)
    for within in (intervals.NO_BOUNDS, intervals.SHARE, intervals.POSITIVE)
)


def _mean(
    name: str,
    numbers: Numbers,
    interval: IntervalFunction,
    better: bool | None,
    text: str,
    select: Select = perturbed,
    requires: frozenset[str] = ALWAYS,
) -> Metric:
    extract = partial(values.mean, name, numbers, select)
    return Metric(name, extract, reducers.pooled_mean, interval, requires, better, text)


def _sides(name: str, text: str) -> Iterator[tuple[str, Select, str]]:
    yield name, perturbed, text.format(images="perturbed images")
    yield f"{name}_clean", clean, text.format(images="clean images")


# Means over answers, on clean and on perturbed images.
_SIDED_MEANS = (
    ("accuracy", answers.correct, RATE, UP, "share of right answers to {images}"),
    ("yes_ratio", answers.said_yes, RATE, NEITHER, 'share of answers to {images} that are "Yes"'),
    ("entropy", answers.entropy, POSITIVE, NEITHER, "mean token entropy on {images}, in nats"),
    (
        "entropy_answer",
        answers.entropy_at_answer,
        POSITIVE,
        NEITHER,
        "mean entropy at the answer position on {images}, in nats",
    ),
    (
        "confidence",
        answers.confidence,
        SHARE,
        NEITHER,
        "mean probability of the answers to {images}, without unparsed ones",
    ),
    ("nll", answers.gold_surprise, POSITIVE, DOWN, "mean -ln p(right label) on {images}, in nats"),
    (
        "invalid_rate",
        answers.invalid,
        RATE,
        DOWN,
        "share of answers to {images} that name no label",
    ),
    ("answer_mass", answers.answer_mass, SHARE, UP, "mean probability of all labels on {images}"),
    (
        "position_unknown",
        answers.position_unknown,
        RATE,
        DOWN,
        "share of answers to {images} whose label begins at no known token: no confidence",
    ),
)
_VERBAL_MEANS = (
    ("verbal_confidence", verbal.confidence, SHARE, NEITHER, "mean certainty stated of {images}"),
    ("verbal_accuracy", verbal.accuracy, RATE, UP, "share of right claims on {images} to be right"),
    (
        "verbal_invalid_rate",
        verbal.invalid,
        RATE,
        DOWN,
        "share of {images} without a stated certainty",
    ),
)
_LOGLIK_MEANS = (
    (
        "loglik_accuracy",
        loglik.correct,
        RATE,
        UP,
        "share of {images} with the right option likeliest",
    ),
    (
        "loglik_mean_accuracy",
        loglik.mean_correct,
        RATE,
        UP,
        "the same by the mean over tokens, {images}",
    ),
    (
        "loglik_margin",
        loglik.margin,
        POSITIVE,
        NEITHER,
        "mean s(best) - s(second) on {images}, in nats",
    ),
    (
        "loglik_confidence",
        loglik.confidence,
        SHARE,
        NEITHER,
        "mean share of the likeliest on {images}",
    ),
    (
        "loglik_nll",
        loglik.gold_surprise,
        POSITIVE,
        DOWN,
        "mean -ln of the right option's share, {images}",
    ),
)

# Means over pairs of a clean and a perturbed answer.
_PAIRED_MEANS = (
    (
        "entropy_delta",
        answers.entropy_difference,
        MEAN,
        NEITHER,
        "mean H(perturbed) - H(clean), in nats",
    ),
    (
        "entropy_answer_delta",
        answers.entropy_at_answer_difference,
        MEAN,
        NEITHER,
        "mean H(perturbed) - H(clean) at the answer position, in nats",
    ),
    (
        "entropy_drop_rate",
        answers.entropy_drop,
        RATE,
        NEITHER,
        "share with H(perturbed) < H(clean)",
    ),
    (
        "visual_entropy",
        answers.answer_entropy,
        POSITIVE,
        DOWN,
        "mean entropy of a document's answers, nats",
    ),
    (
        "right_to_wrong",
        answers.broken,
        RATE,
        DOWN,
        "share made wrong, of those right on clean images",
    ),
    (
        "wrong_to_right",
        answers.repaired,
        RATE,
        NEITHER,
        "share made right, of those wrong on clean ones",
    ),
    (
        "wrong_to_right_named_right",
        partial(answers.repaired_where_named, True),
        RATE,
        NEITHER,
        "share made right by overlays that name the right answer, of those wrong on clean images",
    ),
    (
        "wrong_to_right_named_wrong",
        partial(answers.repaired_where_named, False),
        RATE,
        NEITHER,
        "share made right by overlays that name a wrong answer, of those wrong on clean images",
    ),
    (
        "fp_correction",
        answers.false_positive_repaired,
        RATE,
        NEITHER,
        'share of false "Yes" made "No"',
    ),
    (
        "fn_correction",
        answers.false_negative_repaired,
        RATE,
        NEITHER,
        'share of false "No" made "Yes"',
    ),
)


# Of each channel: means over perturbed answers.
_MOVES = (
    (
        "drift_{}",
        representations.drift,
        POSITIVE,
        "mean 1 - cos of {} vectors, clean and perturbed",
    ),
    (
        "drift_unflipped_{}",
        representations.unflipped,
        POSITIVE,
        "drift of {} vectors where the answer stayed",
    ),
    (
        "stability_{}",
        representations.stability,
        MEAN,
        "mean cosine of {} vectors, clean and perturbed",
    ),
    (
        "stability_l2_{}",
        representations.distance,
        POSITIVE,
        "mean L2 distance of {} vectors, clean and perturbed",
    ),
)

# What drift is held against: infix of the metrics' names, its extractor and its description.
_CONTROLS = (
    ("", representations.control, "of other images", REPRESENTATIONS),
    (
        "_same",
        representations.control_same,
        "of the same question about other images",
        SAME_QUESTION,
    ),
)

# Of each channel: drift held against the drift between images.
_AGAINST_CONTROL = (
    (
        "drift_ratio",
        reducers.drift_over_control,
        partial(intervals.of_ratio, "moved", "control"),
        "drift over control drift",
    ),
    (
        "drift_d",
        reducers.drift_effect_size,
        partial(intervals.of_reduction, reducers.drift_effect_size),
        "Cohen's d of drift against control drift",
    ),
    (
        "drift_dz",
        reducers.drift_paired_effect_size,
        partial(intervals.of_reduction, reducers.drift_paired_effect_size),
        "mean difference of drift and control drift, over the differences' SD",
    ),
)

# Of hidden states and spectra: means over perturbed answers.
_SHIFTS = (
    (
        "drift_to_prior",
        representations.to_prior,
        MEAN,
        "mean approach of the margin to a blank image's, nats",
    ),
    (
        "drift_to_prior_context",
        representations.to_prior_context,
        MEAN,
        "mean approach of the context to it",
    ),
    (
        "dirichlet_delta",
        representations.dirichlet_delta,
        MEAN,
        "mean change in energy of the vision tokens",
    ),
)


# Means over confidences and whether the answers are right.
_GAPS = (
    (
        "overconfidence",
        answers.overconfidence,
        partial(intervals.of_mean, (-1.0, 1.0)),
        NEITHER,
        "confidence minus accuracy on {images}",
    ),
    ("brier", answers.squared_gap, SHARE, DOWN, "mean (confidence - correct)^2 on {images}"),
)


def _of_pairs(measure: Measure) -> tuple[Reduce, IntervalFunction]:
    return partial(reducers.from_calibration, measure), partial(intervals.of_answers, measure)


def _error(reduce: Reduce, kind: Kind) -> tuple[Reduce, IntervalFunction]:
    return reduce, partial(intervals.of_calibration_error, kind, reduce)


def _of_error(measure: Measure, kind: Kind) -> tuple[Reduce, IntervalFunction]:
    return _error(partial(reducers.from_calibration, measure), kind)


# Functions of all confidences and of whether the answers are right, with their intervals. The
# largest error of a bin has none: a bin of few answers says nothing of the bin's true error.
_CALIBRATION: tuple[tuple[str, tuple[Reduce, IntervalFunction | None], bool | None, str], ...] = (
    (
        "ece",
        _of_error(expected_calibration_error, "uniform"),
        DOWN,
        "calibration error on {images}, equal-width bins; biased upwards: see ece_floor",
    ),
    (
        "ece_floor",
        (reducers.calibration_floor, None),
        NEITHER,
        "ECE on {images} if calibration were perfect",
    ),
    (
        "ece_p",
        (reducers.calibration_p, None),
        NEITHER,
        "p of the ECE on {images} if calibration were perfect",
    ),
    (
        "ece_debiased",
        _error(reducers.debiased_error, "uniform"),
        DOWN,
        "ECE on {images} less its bias",
    ),
    (
        "smece",
        _of_error(smooth_calibration_error, "smooth"),
        DOWN,
        "calibration error on {images} without bins",
    ),
    (
        "ace",
        _of_error(partial(expected_calibration_error, strategy="quantile"), "quantile"),
        DOWN,
        "calibration error on {images}, equal-mass bins; biased upwards",
    ),
    (
        "mce",
        (partial(reducers.from_calibration, maximum_calibration_error), None),
        DOWN,
        "largest calibration error of a bin on {images}; biased upwards",
    ),
    ("auroc", _of_pairs(auroc), UP, "AUROC of confidence for right answers to {images}"),
    ("aurc", _of_pairs(aurc), DOWN, "area under the risk-coverage curve on {images}"),
)

# Kinds of confidence: prefix of the metrics' names, what is calibrated, its description.
_CONFIDENCES = (
    ("", answers.calibrated, "unparsed answers left out: ", ALWAYS),
    ("verbal_", verbal.calibrated, "stated certainty, unparsed answers left out: ", VERBAL),
    ("loglik_", loglik.calibrated, "shares of options: ", LOGLIK),
)

# Name, which counts it divides by which (`intervals.of_counts`), description.
F1 = (2, 2, 1, 1)
_CONFUSION = (
    ("precision", (1, 1, 1, 0), "share of positive answers to {images} that are right"),
    ("recall", (1, 1, 0, 1), "share of positive documents answered positive on {images}"),
    ("f1", F1, "harmonic mean of precision and recall on {images}"),
)

# "Above" is above the 95th percentile of clean entropies.
_DEFENSE = (
    ("defense_reject_clean", "reject_clean", NEITHER, "share of clean images above the threshold"),
    ("defense_reject", "reject", UP, "share of perturbed images above the entropy threshold"),
    ("defense_bypass", "bypass", DOWN, "share of perturbed images that pass the threshold"),
    ("defense_auroc", "auroc", UP, "AUROC of entropy, perturbed against clean; < 0.5: inverted"),
)


_DIFFERENCE_TESTS = (
    (
        "entropy_delta_p",
        reducers.sign_flip_of_differences,
        "two-sided sign-flip permutation p, by image, of entropy_delta",
    ),
    (
        "entropy_delta_wilcoxon_p",
        reducers.wilcoxon_of_differences,
        "two-sided Wilcoxon signed-rank p: images' mean entropy differences symmetric about 0",
    ),
)


def _means() -> Iterator[Metric]:
    for requires, rows in (
        (ALWAYS, _SIDED_MEANS),
        (VERBAL, _VERBAL_MEANS),
        (LOGLIK, _LOGLIK_MEANS),
    ):
        for name, numbers, interval, better, text in rows:
            for sided, select, line in _sides(name, text):
                yield _mean(sided, numbers, interval, better, line, select, requires)
    text = "upstream's own score of the answers to all clean images, once each"
    yield _mean("accuracy_upstream_clean", answers.upstream, RATE, UP, text, clean)
    for name, numbers, interval, better, text in _PAIRED_MEANS:
        yield _mean(name, numbers, interval, better, text)


def _flips(suffix: str, images: str, select: Select) -> Iterator[Metric]:
    instance = f"share of {images} images whose answer is not the clean one's"
    yield _mean(f"ifr{suffix}", answers.flip, RATE, DOWN, instance, select)
    document = f"share of documents any of whose {images} images changes the answer"
    yield _mean(f"iv{suffix}", answers.any_flip, RATE, DOWN, document, select)


def _macro_flips() -> Iterator[Metric]:
    reduce = reducers.mean_over_families
    interval = intervals.of_family_rates
    for name, flips, text in (
        ("ifr_macro", answers.flip, "mean over families of the share of answers that flip"),
        ("iv_macro", answers.any_flip, "mean over families of the share of documents that flip"),
    ):
        extract = partial(values.by_family, flips)
        yield Metric(name, extract, reduce, interval, ALWAYS, DOWN, text)


def _option_flips() -> Iterator[Metric]:
    instance = "share of perturbed images whose likeliest option is not the clean one's"
    yield _mean("loglik_ifr", loglik.flip, RATE, DOWN, instance, requires=LOGLIK)
    document = "share of documents any of whose perturbed images changes the likeliest option"
    yield _mean("loglik_iv", loglik.any_flip, RATE, DOWN, document, requires=LOGLIK)


def _calibration(
    prefix: str, pairs: answers.Pairs, note: str, requires: frozenset[str]
) -> Iterator[Metric]:
    for name, gap, interval, better, text in _GAPS:
        for sided, select, line in _sides(f"{prefix}{name}", note + text):
            yield _mean(sided, partial(gap, pairs), interval, better, line, select, requires)
    extract = {side: partial(values.calibration_columns, pairs, side) for side in _SELECT}
    for name, (reduce, found), better, text in _CALIBRATION:
        for sided, select, line in _sides(f"{prefix}{name}", note + text):
            yield Metric(sided, extract[select], reduce, found, requires, better, line)


def _from_counts(
    name: str,
    measured: str,
    weights: tuple[int, int, int, int],
    extract: Extract,
    text: str,
    requires: frozenset[str] = ALWAYS,
) -> Metric:
    reduce = partial(reducers.from_confusion, attrgetter(measured))
    interval = partial(intervals.of_counts, weights)
    return Metric(name, extract, reduce, interval, requires, UP, text)


def _confusions() -> Iterator[Metric]:
    extract = {side: partial(values.confusion_counts, side) for side in _SELECT}
    for name, weights, text in _CONFUSION:
        for sided, select, line in _sides(name, text):
            yield _from_counts(sided, name, weights, extract[select], line)


def _defenses() -> Iterator[Metric]:
    for name, field, better, text in _DEFENSE:
        measure = attrgetter(field)
        reduce = partial(reducers.from_defense, measure)
        # The threshold is set to reject 5% of clean images: that share estimates nothing.
        interval = None if field == "reject_clean" else partial(intervals.of_defense, measure)
        yield Metric(name, values.entropies, reduce, interval, ALWAYS, better, text)
    for name, test, text in _DIFFERENCE_TESTS:
        yield Metric(name, values.entropy_change, test, None, ALWAYS, NEITHER, text)


def _claims() -> Iterator[Metric]:
    for name, select, line in _sides("verbal_f1", "F1 of claims to be right on {images}"):
        yield _from_counts(name, "f1", F1, partial(values.claim_counts, select), line, VERBAL)
    text = "Spearman correlation of stated and token confidence on {images}"
    for name, select, line in _sides("verbal_alignment", text):
        extract = partial(values.alignment_columns, select)
        yield Metric(
            name, extract, reducers.from_alignment, intervals.of_alignment, VERBAL, UP, line
        )


def _against_control(
    channel: str,
    infix: str,
    control: values.ChannelNumbers,
    others: str,
    requires: frozenset[str],
) -> Iterator[Metric]:
    name, text = f"drift_control{infix}_{channel}", f"mean 1 - cos of {channel} vectors, clean and"
    drifts = partial(control, channel)
    yield _mean(name, drifts, POSITIVE, NEITHER, f"{text} {others}", requires=requires)
    extract = partial(values.drift_and_control, control, channel)
    for prefix, reduce, interval, text in _AGAINST_CONTROL:
        line = f"{text} {others}, {channel} vectors"
        name = f"{prefix}{infix}_{channel}"
        yield Metric(name, extract, reduce, interval, requires, NEITHER, line)


def _of_representations() -> Iterator[Metric]:
    mean = partial(_mean, better=NEITHER, requires=REPRESENTATIONS)
    for channel in representations.CHANNELS:
        for name, numbers, interval, text in _MOVES:
            line = text.format(channel)
            yield mean(name.format(channel), partial(numbers, channel), interval, text=line)
        for control in _CONTROLS:
            yield from _against_control(channel, *control)
    for name, shift, interval, text in _SHIFTS:
        yield mean(name, shift, interval, text=text)
    for band in BANDS:
        text = f"mean relative change of the image's power, {band} band"
        yield mean(
            f"spectral_{band}_delta", partial(representations.spectral_delta, band), MEAN, text=text
        )
        flipped = partial(representations.spectral_delta_flipped, band)
        text = f"{text}, where the answer flipped"
        yield mean(f"spectral_{band}_delta_flipped", flipped, MEAN, text=text)


def metrics_for(
    families: Iterable[str], provides: frozenset[str] | None = None
) -> dict[str, Metric]:
    """Return the metrics of a task by name, in the order of tables.

    Args:
        families: Of the perturbations, in the order of their flip rates.
        provides: What the task measures besides its answers, of {"verbal", "loglik",
            "representations", "same_question"}; None for all of these.

    >>> [name for name in metrics_for(["noise"], frozenset()) if "noise" in name]
    ['ifr_noise', 'iv_noise']
    """
    found = chain(
        _means(),
        _flips("", "perturbed", perturbed),
        _macro_flips(),
        *(_flips(f"_{name}", name, partial(values.of_family, name)) for name in families),
        _option_flips(),
        *(_calibration(*kind) for kind in _CONFIDENCES),
        _confusions(),
        _defenses(),
        _claims(),
        _of_representations(),
    )
    return {m.name: m for m in found if provides is None or m.requires <= provides}
