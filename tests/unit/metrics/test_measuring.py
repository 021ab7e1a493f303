"""Values and intervals: the metrics' own, over images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
from msgspec.structs import replace
from report.synthetic import answers, noise, questions

from vlm_confidence_tasks.metrics import (
    BANDS,
    CHANNELS,
    Interval,
    Number,
    Sample,
    aurc,
    auroc,
    calibration_error_interval,
    jackknife_interval,
    mean_interval,
    measure,
    metrics_for,
    rate_interval,
    task_metrics,
)
from vlm_confidence_tasks.types import Inside, Readout, Variant

from .making import EMPTY, METRICS, NOISE_1, TEXT, yes_no_document

SHIFT = Variant("translate", (("dx", 8),), family="translation")
VARIANTS = (noise(0.3), NOISE_1, SHIFT, TEXT, EMPTY)


def everything(readout: Readout, rng: np.random.Generator) -> Readout:
    """The answer with a stated certainty, scored options, representations and bounds."""

    def numbers(names: Sequence[str]) -> dict[str, float]:
        return dict(zip(names, rng.uniform(0.1, 1.0, len(names)).tolist(), strict=True))

    scores = {label: -value for label, value in numbers(["Yes", "No"]).items()}
    # Not worse than guesses, of which no temperature would be the best.
    right = readout.answer if readout.correct else "No" if readout.answer == "Yes" else "Yes"
    scores[right] += 0.3
    return replace(
        readout,
        answer_mass=float(rng.uniform(0.8, 1.0)),
        verbal_text="so sure",
        verbal_confidence=float(rng.integers(11)) / 10 if rng.random() < 0.9 else None,
        option_logprob=scores,
        option_logprob_mean={label: value / 2 for label, value in scores.items()},
        inside=Inside(
            drift=numbers(CHANNELS),
            distance=numbers(CHANNELS),
            control=numbers(CHANNELS),
            prior_drift=rng.random(),
            prior_probs={"Yes": 0.25, "No": 0.75},
            dirichlet_energy=rng.random(),
            layer_entropy=tuple(rng.uniform(0.1, 1.0, 3).tolist()),
            spectrum=numbers(BANDS),
            control_same=numbers(CHANNELS),
        ),
        overlay_label=str(rng.choice(["Yes", "No"])),
        entropy_low=readout.entropy,
        entropy_high=readout.entropy,
    )


@cache
def documents(count: int = 80) -> list[Sample]:
    rng = np.random.default_rng(1)
    return [
        replace(
            sample,
            clean=everything(sample.clean, rng),
            # Documents of uneven weight.
            variants=tuple(everything(readout, rng) for readout in sample.variants[n % 3 :]),
        )
        for n, (_, sample) in enumerate(answers(questions(count, images=40), VARIANTS))
    ]


def test_values_are_those_of_the_metrics() -> None:
    held = documents()
    measured = measure(held)
    assert {name: number.value for name, number in measured.items()} == task_metrics(held)


@cache
def measured() -> dict[str, Number]:
    return measure(documents())


SHOWN = tuple(dict.fromkeys(variant.family for variant in VARIANTS))
# Attacks have documents of their own (test_attacks.py).
MEASURED = frozenset({"verbal", "loglik", "representations", "same_question"})
NAMES = list(metrics_for(SHOWN, MEASURED))


def test_every_metric_can_be_computed_here() -> None:
    assert set(measured()) == set(NAMES)


def columns(name: str) -> tuple[list[dict], list[str]]:
    """What a metric takes of each document, and its image."""
    found = [(METRICS[name].extract(d), d.image_id) for d in documents()]
    values, images = zip(*((v, image) for v, image in found if v is not None), strict=True)
    return list(values), list(images)


def answered(name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Confidence, correctness and image of each answer."""
    values, images = columns(name)
    pairs = [
        (c, hit, image)
        for v, image in zip(values, images, strict=True)
        for c, hit in zip(v["confidence"], v["correct"], strict=True)
    ]
    confidence, correct, owners = zip(*pairs, strict=True)
    return np.array(confidence), np.array(correct), list(owners)


def same(name: str, expected: Interval | None) -> None:
    number = measured()[name]
    assert (number.value, number.low, number.high) == pytest.approx(
        (expected.estimate, expected.low, expected.high), abs=1e-6
    )


@pytest.mark.parametrize("name", ["accuracy", "ifr", "iv_noise", "invalid_rate_clean"])
def test_rates_have_korn_and_graubards(name: str) -> None:
    values, images = columns(name)
    n = np.array([v["n"] for v in values])
    same(name, rate_interval([v["score"] * v["n"] for v in values], n, images))


@pytest.mark.parametrize("name", ["entropy", "entropy_delta", "nll", "brier", "drift_context"])
def test_means_have_the_studentized_bootstraps(name: str) -> None:
    values, images = columns(name)
    n = [v["n"] for v in values]
    same(name, mean_interval([v["score"] * v["n"] for v in values], n, images))


@pytest.mark.parametrize(("name", "double"), [("precision", 1), ("f1", 2)])
def test_ratios_of_counts_are_rates(name: str, double: int) -> None:
    values, images = columns(name)
    tp, fp, fn = (np.array([v[key] for v in values]) for key in ("tp", "fp", "fn"))
    under = double * tp + fp + (fn if name == "f1" else 0)
    same(name, rate_interval(double * tp, under, images))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("ece", "uniform"), ("ece_debiased", "uniform"), ("smece_clean", "smooth")]
    + [("ace", "quantile"), ("verbal_ece", "uniform"), ("loglik_smece", "smooth")],
)
def test_calibration_errors_have_the_inverted_tests(name: str, kind: str) -> None:
    estimate = measured()[name].value
    same(name, calibration_error_interval(*answered(name), estimate, kind=kind))


@pytest.mark.parametrize(("name", "function"), [("auroc", auroc), ("aurc_clean", aurc)])
def test_rankings_have_the_jackknifes(name: str, function: Callable[..., float]) -> None:
    confidence, correct, images = answered(name)
    found = jackknife_interval(
        lambda rows: function(confidence[rows], correct[rows]), images, scale="logit"
    )
    same(name, found)


def test_a_threshold_needs_five_images_above_it() -> None:
    # 100 clean images have 5 above their 95th percentile.
    for count, shown in ((60, False), (120, True)):
        held = [
            replace(sample, image_id=f"image {n}")
            for n, sample in enumerate(documents(120)[:count])
        ]
        found = measure(held, ["defense_reject", "defense_bypass", "defense_auroc"])
        assert (found["defense_reject"].low is not None) is shown
        assert (found["defense_bypass"].low is not None) is shown
        assert found["defense_auroc"].low is not None


WITHOUT = {"entropy_delta_p", "entropy_delta_wilcoxon_p", "defense_reject_clean"} | {
    f"{prefix}{name}{side}"
    for prefix in ("", "verbal_", "loglik_")
    for name in ("ece_floor", "ece_p", "mce")
    for side in ("", "_clean")
}


def test_what_estimates_nothing_has_no_interval() -> None:
    assert {n for n, m in METRICS.items() if m.interval is None} == WITHOUT
    for name, number in measured().items():
        assert (number.low is None) == (number.high is None)
        if name in WITHOUT:
            assert number.low is None, name


def test_everything_else_has_one_that_holds_its_value() -> None:
    for name, number in measured().items():
        if name not in WITHOUT:
            assert number.low <= number.value <= number.high, name
            assert number.high > number.low, name


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_samples_leaves_no_trace(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(documents()))
    shuffled = measure([documents()[k] for k in order])
    for name, number in measured().items():
        assert shuffled[name].value == number.value, name
        if number.low is None:
            assert shuffled[name] == number, name
        else:
            ends = (shuffled[name].low, shuffled[name].high)
            assert ends == pytest.approx((number.low, number.high), rel=1e-5, abs=1e-6), name


def test_named_metrics_have_the_same_intervals() -> None:
    names = {"ece", "f1", "entropy_delta"}
    assert measure(documents(), names) == {n: measured()[n] for n in measured() if n in names}


def test_never_and_always_have_wide_intervals() -> None:
    held = [
        replace(yes_no_document("Yes", ("Yes",), [(SHIFT, "Yes")]), image_id=f"image{n % 20}")
        for n in range(60)
    ]
    numbers = measure(held)
    for name, value in (("ifr", 0), ("iv", 0), ("accuracy", 1), ("accuracy_clean", 1)):
        assert numbers[name].value == value
        assert numbers[name].high - numbers[name].low > 0.1, name


def calibrated_model(rng: np.random.Generator) -> list[Sample]:
    """300 answers on 50 images, right as often as they say; 2% of them flip."""
    held = []
    for n in range(300):
        confidence = float(0.5 + 0.5 * rng.beta(2, 1))
        right = rng.random() < confidence
        clean = "Yes" if right else "No"
        flipped = "No" if right else "Yes"
        shown = flipped if rng.random() < 0.02 else clean
        p_yes = confidence if right else 1 - confidence
        document = yes_no_document(
            "Yes", (clean, 0.5, p_yes, 1.0), [(SHIFT, shown, 0.5, p_yes, 1.0)]
        )
        held.append(replace(document, image_id=f"image{n // 6}"))
    return held


def test_a_hundred_calibrated_models_are_held() -> None:
    """A percentile bootstrap holds `ece_clean` in none, and `ifr` in 90 with some of width 0."""
    rng = np.random.default_rng(12)
    names = {"ece_clean", "ece_debiased_clean", "smece_clean", "ifr"}
    models = [measure(calibrated_model(rng), names) for _ in range(100)]
    for name in names - {"ifr"}:
        assert sum(model[name].low == 0 for model in models) >= 92, name
    flips = [model["ifr"] for model in models]
    assert sum(flip.low <= 0.02 <= flip.high for flip in flips) >= 93
    assert min(flip.high - flip.low for flip in flips) > 0.005


def test_questions_of_one_image_go_together() -> None:
    rng = np.random.default_rng(3)
    many = []
    for image in range(12):
        right = rng.random() < 0.5
        for n in range(10):
            document = yes_no_document("Yes", ("Yes",), [(SHIFT, "Yes" if right else "No")])
            many.append(replace(document, image_id=f"image{image}.{n}"))
    few = [replace(d, image_id=d.image_id.split(".")[0]) for d in many]
    one, each = (measure(held, {"accuracy"})["accuracy"] for held in (few, many))
    assert one.value == each.value
    assert one.high - one.low > 2 * (each.high - each.low)


def test_few_images_have_no_interval() -> None:
    alone = [replace(d, image_id=f"image{n % 4}") for n, d in enumerate(documents(12))]
    assert all(number.low is number.high is None for number in measure(alone).values())


def certain(*rows: tuple[str, float]) -> dict[str, Number]:
    """What is measured of an image each, all "Yes": (answer, its confidence)."""
    answered = [(answer, 0.5, p if answer == "Yes" else 1 - p, 1.0) for answer, p in rows]
    held = [yes_no_document("Yes", row, [(NOISE_1, *row)]) for row in answered]
    return measure([replace(d, image_id=f"image{n}") for n, d in enumerate(held)])


def test_a_number_without_an_interval_has_a_reason_of_the_page() -> None:
    right = [("Yes", 0.6 + 0.05 * n) for n in range(6)]
    wrong = [("No", 0.7), ("No", 0.72), ("No", 0.95), ("No", 0.8), ("No", 0.75)]
    held = certain(*right, *wrong)
    assert all(held[name].low is not None for name in ("auroc", "confidence", "ece", "accuracy"))
    # Few wrong; at the end of its range, or without one image; all agree.
    low = [("No", 0.51 + 0.01 * n) for n in range(5)]
    without = [
        (certain(*right, *wrong[:4]), "auroc"),
        (certain(*right, *low), "auroc"),
        (certain(*right, *low[:4], ("No", 0.95)), "auroc"),
        (certain(*[("Yes", 0.8)] * 6), "confidence"),
    ]
    for numbers, name in without:
        assert numbers[name].low is numbers[name].high is None
        assert all(numbers[other].low is not None for other in ("ece", "accuracy", "ifr"))
    assert without[1][0]["auroc"].value == 1.0
