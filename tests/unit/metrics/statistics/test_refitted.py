"""What is fitted on the clean answers of one half of the images, and judged on the other half."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.special import ndtr

from vlm_confidence_tasks.metrics import (
    Answers,
    Interval,
    calibration_error_interval,
    expected_calibration_error,
    jackknife_interval,
    mean_interval,
    rate_interval,
)
from vlm_confidence_tasks.metrics.functional.conformal import conformal_threshold
from vlm_confidence_tasks.metrics.functional.cross_fitting import second_half
from vlm_confidence_tasks.metrics.functional.recalibration import fit_temperature, isotonic
from vlm_confidence_tasks.metrics.functional.selective import acceptance_threshold
from vlm_confidence_tasks.metrics.inference.rare_errors import loss_interval

from ..everything import documents, ends, table
from ..making import METRICS, NOISE, measure, open_document, values, yes_no_document


def answered(samples, side, of):
    """Confidence, correctness, p(gold), image and document of the answers, as often as counted."""
    rows = []
    for n, sample in enumerate(samples):
        shown = [readout for readout in sample.variants if not readout.control]
        clean = [sample.clean] * len(shown)
        for readout in {"once": clean[:1], "clean": clean, "perturbed": shown}[side]:
            confidence = getattr(readout, of)
            if readout.answer is not None and confidence is not None:
                p = readout.probs[sample.gold]
                rows.append((confidence, float(readout.correct), p, sample.image_id, n))
    return [np.array(column) for column in zip(*rows, strict=True)]


def crossed(fit, apply, samples, side, of="confidence"):
    """Fit on each half's clean answers, counted once, and apply to the other half's."""
    clean, shown = answered(samples, "once", of), answered(samples, side, of)
    parts = []
    for half in (False, True):
        theirs, own = second_half(clean[3]) != half, second_half(shown[3]) == half
        fitted = fit(*(column[theirs] for column in clean[:4]))
        found = apply(fitted, *(column[own] for column in shown[:3]))
        parts.append((*found, shown[3][own], shown[4][own]))
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]


def scale(temperature, p):
    odds = (p / (1 - p)) ** (1 / temperature)
    return odds / (1 + odds)


def to_temperature(sure, right, p, image):
    return fit_temperature(np.column_stack([p, 1 - p]), np.zeros(p.size, dtype=int))


scaled = partial(
    crossed,
    to_temperature,
    lambda t, sure, right, p: (scale(t, sure), right, -np.log(scale(t, p))),
)
repaired = partial(
    crossed,
    lambda sure, right, p, image: (sure, right),
    lambda pairs, sure, right, p: (isotonic(*pairs, sure), right, right),
    of="verbal_confidence",
)


def in_sets(t, sure, right, p):
    """Whether the right label is in the set, its size of two labels, 1, whether it was empty."""
    hit, other = 1 - p <= t, p <= t
    empty = ~hit & ~other
    return hit | empty & (p > 0.5), np.maximum(1.0 * hit + other, 1), np.ones(p.size), 1.0 * empty


sets = partial(crossed, lambda sure, right, p, image: conformal_threshold(1 - p, image), in_sets)
# Whether an answer is given and wrong, whether it is given, and 1.
given = partial(
    crossed,
    lambda sure, right, p, image: acceptance_threshold(sure),
    lambda t, sure, right, p: ((sure >= t) * (1 - right), 1.0 * (sure >= t), np.ones(p.size)),
)


def of_documents(interval, above, below, document):
    """The interval of a ratio of sums, from those of each document."""
    sums = [np.bincount(document, column, len(documents())) for column in (above, below)]
    return interval(*sums, [sample.image_id for sample in documents()])


positive_mean = partial(mean_interval, within=(0, np.inf))


def error(confidence, right, _, image, document, **options):
    estimate = expected_calibration_error(confidence, right)
    return calibration_error_interval(confidence, right, image, estimate, **options)


def brier(confidence, right, _, image, document):
    losses = (confidence - right) ** 2
    return of_documents(loss_interval, losses, np.ones(image.size), document)


def nll(confidence, right, losses, image, document):
    return of_documents(positive_mean, losses, np.ones(image.size), document)


@pytest.mark.parametrize("end", ["", "_clean"])
@pytest.mark.parametrize(
    ("name", "made", "expected"),
    [("ece_ts", scaled, error), ("brier_top_ts", scaled, brier), ("nll_ts", scaled, nll)]
    + [("verbal_ece_iso", repaired, error), ("verbal_brier_top_iso", repaired, brier)],
)
def test_repaired_confidences_have_the_intervals_of_unrepaired_ones(name, made, expected, end):
    metric = METRICS[f"{name}{end}"]
    theirs = expected(*made(documents(), end.removeprefix("_") or "perturbed"))
    assert metric.value(table()) == pytest.approx(theirs.estimate)
    assert ends(metric.interval(table())) == pytest.approx(ends(theirs), abs=1e-6)


THRESHOLDS = {
    "hit_90": (sets, 0, 2, rate_interval, "logit"),
    "set_size_90": (sets, 1, 2, positive_mean, "identity"),
    "empty_90": (sets, 3, 2, rate_interval, "logit"),
    "risk_80": (given, 0, 1, rate_interval, "logit"),
    "answered_80": (given, 1, 2, rate_interval, "logit"),
}


@pytest.mark.parametrize("name", THRESHOLDS)
@pytest.mark.parametrize("end", ["", "_clean"])
def test_thresholds_are_set_anew_without_each_image(name, end):
    """The jackknife's interval, widened to the one at the threshold of all answers."""
    made, above, below, fixed_interval, on_scale = THRESHOLDS[name]
    side = end.removeprefix("_") or "perturbed"

    def ratio(kept):
        found = made([documents()[n] for n in kept], side)
        return found[above].sum() / found[below].sum()

    *columns, _, document = made(documents(), side)
    fixed = of_documents(fixed_interval, columns[above], columns[below], document)
    moved = jackknife_interval(ratio, [s.image_id for s in documents()], scale=on_scale)
    metric = METRICS[f"{name}{end}"]
    assert metric.value(table()) == pytest.approx(fixed.estimate)
    # Where no group moves the number, at this threshold alone.
    moved = moved or fixed
    low, high = min(moved.low, fixed.low), max(moved.high, fixed.high)
    expected = Interval(fixed.estimate, low, min(high, 1.0) if on_scale == "logit" else high)
    assert ends(metric.interval(table())) == pytest.approx(ends(expected), abs=1e-6)


def test_a_set_that_would_be_empty_holds_the_likeliest_label():
    """Clean answers are right with .9 or .95: the threshold is .1, and .6 is over it."""
    golds = ("Yes", "Yes", "No")
    asked = [
        replace(
            yes_no_document(gold, (gold, 0.1, p if gold == "Yes" else 1 - p, 1.0), moved),
            image_id=f"image {n}",
        )
        for n in range(60)
        for gold, p in [(golds[n % 3], 0.9 + 0.05 * (n % 2))]
        for moved in [[(NOISE, "Yes", 0.1, 0.6, 1.0)]]
    ]
    found = values(asked)
    assert (found["hit_90_clean"], found["set_size_90_clean"], found["empty_90_clean"]) == (1, 1, 0)
    # "Yes" alone, which two of three times is right.
    assert found["set_size_90"] == found["empty_90"] == 1
    assert found["hit_90"] == pytest.approx(2 / 3)


def test_the_temperature_is_of_all_clean_answers_once():
    confidence, right, p, image, _ = answered(documents(), "once", "confidence")
    labels = np.column_stack([p, 1 - p])
    theirs = jackknife_interval(
        lambda rows: fit_temperature(labels[rows], np.zeros(rows.size, dtype=int)),
        image,
        scale="log",
    )
    found = METRICS["temperature"].interval(table())
    assert ends(found) == pytest.approx(ends(theirs), rel=1e-6)


def test_halves_by_hand():
    names = {bool(second_half([name])[0]): name for name in "abcdefgh"}

    def about(half, p):
        # One of four is wrong.
        golds = ("No", "Yes", "Yes", "Yes")
        made = [yes_no_document(g, ("Yes", 0.1, p, 1), [(NOISE, "Yes", 0.1, p, 1)]) for g in golds]
        return [replace(sample, image_id=names[half]) for sample in made]

    # At .9: odds 3 = 9^(1/T); at .8: 3 = 4^(1/T).
    found = values(about(False, 0.9) + about(True, 0.8))
    by_first, by_second = math.log(9) / math.log(3), math.log(4) / math.log(3)
    sure = [odds / (1 + odds) for odds in (9 ** (1 / by_second), 4 ** (1 / by_first))]
    assert found["ece_ts"] == pytest.approx(np.mean([abs(s - 0.75) for s in sure]))
    losses = [0.75 * (1 - s) ** 2 + 0.25 * s**2 for s in sure]
    assert found["brier_top_ts"] == pytest.approx(np.mean(losses))
    losses = [0.75 * math.log(s) + 0.25 * math.log(1 - s) for s in sure]
    assert found["nll_ts"] == pytest.approx(-np.mean(losses))


APS = ("aps_hit_90", "aps_set_size_90", "aps_empty_90")
TOKEN = (*("ece_ts", "nll_ts", "brier_top_ts"), *THRESHOLDS, *APS)


def test_what_does_not_apply_is_absent():
    def shown(samples):
        return {n for n in values(samples) if n.removesuffix("_clean") in TOKEN}

    assert len(shown(documents())) == 2 * len(TOKEN)
    assert not shown([replace(s, variants=()) for s in documents()])
    caption = open_document(None, ("a dog", None, 0.1), [("a cat", None, 0.2)])
    assert not shown([replace(caption, image_id=f"{n}") for n in range(60)])
    # All right: no temperature is the best.
    sure = yes_no_document("Yes", ("Yes", 0.1, 0.9, 1.0), [(NOISE, "Yes", 0.1, 0.9, 1.0)])
    right = values([replace(sure, image_id=f"{n}") for n in range(40)])
    assert not {"temperature", "ece_ts", "error_auroc_confidence", "error_auroc_pair"} & set(right)
    assert right["hit_90"] == 1.0 and right["risk_80"] == 0.0
    # Under 9 images in a half promise nothing.
    few = [replace(s, image_id=f"{n % 10}") for n, s in enumerate(documents())]
    assert "hit_90" not in values(few)


@pytest.mark.parametrize("name", [*TOKEN, "temperature", "error_auroc_pair", "error_auroc_entropy"])
def test_one_run_without_values_has_no_difference(name):
    empty = Answers.of([replace(s, gold=None, positive=None) for s in documents()])
    assert METRICS[name].difference(table(), empty) is None


def sure(n, gold):
    p = 0.9 + n / 1000
    clean, moved = ("Yes", 0.1, p, 1.0), [(NOISE, "Yes", 0.1, p, 1.0)]
    return replace(yes_no_document(gold, clean, moved), image_id=f"image {n}")


@pytest.mark.parametrize(("wrong", "shown"), [(7, False), (8, True)])
def test_a_repaired_error_of_few_wrong_answers_has_no_interval(wrong, shown):
    answers = [sure(n, "No" if n in range(0, 7 * wrong, 7) else "Yes") for n in range(60)]
    assert (measure(answers)["ece_ts"].low is not None) is shown


def test_one_error_among_the_answers_given_has_an_interval():
    number = measure([sure(n, "No" if n == 59 else "Yes") for n in range(60)])["risk_80"]
    assert 0 <= number.low < number.value < 0.03 < number.high <= 1


@pytest.mark.parametrize(("images", "most"), [(500, 1), (100, 18)])
def test_exchangeable_images_are_covered_as_promised(images, most):
    """Clean and perturbed scores have one distribution, and are alike on one image."""
    rng = np.random.default_rng(images)
    sample = yes_no_document("Yes", ("Yes", 0.1, 0.5, 1.0), [(NOISE, "Yes", 0.1, 0.5, 1.0)])
    counts = rng.integers(1, most + 1, images)
    names = np.repeat([f"{n}" for n in range(images)], counts)
    held = Answers.of([replace(sample, image_id=n) for n in names])
    metrics = [f"{kind}hit_90{end}" for kind in ("", "aps_") for end in ("", "_clean")]
    found = []
    for _ in range(200):
        common, own = rng.standard_normal(images), rng.standard_normal(len(held))
        # The right label has a probability that is any number in [0, 1].
        p = ndtr(math.sqrt(0.3) * common[held.image] + math.sqrt(0.7) * own)
        shown = held.with_columns(
            confidence=p,
            probs=np.column_stack([p, 1 - p]),
            uniform=rng.random(names.size)[held.document],
        )
        found.append([METRICS[name].value(shown) for name in metrics])
    assert np.mean(found, axis=0) == pytest.approx(np.full(len(metrics), 0.9), abs=0.01)
