"""What is fitted on clean answers of half of the images, and judged on the other half."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from vlm_confidence_tasks.metrics import (
    Columns,
    Sample,
    expected_calibration_error,
    extract_columns,
    interval,
    measure,
    task_metrics,
)
from vlm_confidence_tasks.metrics import cross_fitted as fits
from vlm_confidence_tasks.metrics.functional.cross_fitting import second_half

from .making import METRICS, NOISE, NOISE_1, open_document, yes_no_document
from .test_protocols import scored, stated

TOKEN = (
    *("ece_ts", "nll_ts", "brier_ts", "coverage_90", "set_size_90"),
    *("aps_coverage_90", "aps_set_size_90", "risk_80", "answered_80"),
)


def drawn(documents=400, images=60, seed=0) -> list[Sample]:
    """Overconfident answers with one or two variants, some unparsed; some hint at errors."""
    rng = np.random.default_rng(seed)

    def answered(gold, gap):
        sure = float(0.5 + 0.5 * rng.beta(2, 1))
        right = rng.random() < sure - gap
        answer = gold if right else {"Yes": "No", "No": "Yes"}[gold]
        entropy = float(rng.exponential() + (not right))
        said = None if rng.random() < 0.05 else answer
        return said, entropy, sure if answer == "Yes" else 1 - sure, 1.0

    made = []
    for number in range(documents):
        gold = "Yes" if rng.random() < 0.5 else "No"
        shown = [NOISE, NOISE_1][: rng.integers(1, 3)]
        sample = yes_no_document(
            gold, answered(gold, 0.1), [(variant, *answered(gold, 0.3)) for variant in shown]
        )
        made.append(replace(sample, image_id=f"image {number % images}"))
    return made


@pytest.fixture(scope="module")
def many() -> list[Sample]:
    return drawn()


def rows_of(samples, side):
    """Image, confidence, right, p(gold) of the answers that count, as often as they do."""
    rows = []
    for s in samples:
        for readout in s.paired_clean if side == "clean" else s.perturbed:
            if readout.answer is not None:
                p = readout.probs[s.gold]
                rows.append((s.image_id, readout.confidence, readout.correct, p))
    return [np.array(column) for column in zip(*rows, strict=True)]


def once(samples):
    return [replace(s, variants=s.variants[:1]) for s in samples]


def by_other_half(samples, side, fit, apply):
    """Fit on each half's clean answers, counted once, and apply to the other half's."""
    clean, shown = rows_of(once(samples), "clean"), rows_of(samples, side)
    found = []
    for half in (False, True):
        theirs, own = second_half(clean[0]) != half, second_half(shown[0]) == half
        fitted = fit(*(column[theirs] for column in clean[1:]))
        found.append(apply(fitted, *(column[own] for column in shown[1:])))
    return [np.concatenate(columns) for columns in zip(*found, strict=True)]


def grid_temperature(sure, right, p):
    """The best of very many temperatures."""
    odds = np.log(p / (1 - p))
    scales = np.exp(np.linspace(-3, 3, 60_001))
    losses = [np.logaddexp(0, -odds / t).mean() for t in scales[::100]]
    near = scales[max(0, 100 * (int(np.argmin(losses)) - 1)) :][:200]
    return near[np.argmin([np.logaddexp(0, -odds / t).mean() for t in near])]


@pytest.mark.parametrize("end", ["", "_clean"])
def test_scaling_is_that_of_a_search_on_the_other_half(many, end):
    def apply(temperature, sure, right, p):
        scaled = 1 / (1 + np.exp(-np.log(sure / (1 - sure)) / temperature))
        return scaled, right, np.logaddexp(0, -np.log(p / (1 - p)) / temperature)

    side = end.removeprefix("_") or "perturbed"
    sure, right, nll = by_other_half(many, side, grid_temperature, apply)
    found = task_metrics(many)
    assert found[f"nll_ts{end}"] == pytest.approx(nll.mean(), abs=1e-4)
    assert found[f"brier_ts{end}"] == pytest.approx(np.mean((sure - right) ** 2), abs=1e-4)
    assert found[f"ece_ts{end}"] == pytest.approx(expected_calibration_error(sure, right), abs=2e-3)
    clean = rows_of(once(many), "clean")
    assert found["temperature"] == pytest.approx(grid_temperature(*clean[1:]), rel=1e-3)


def kept_threshold(sure, right, p):
    return np.sort(1 - p)[math.ceil(0.9 * (len(p) + 1)) - 1]


@pytest.mark.parametrize("end", ["", "_clean"])
def test_sets_and_answers_given_are_those_counted_by_hand(many, end):
    side = end.removeprefix("_") or "perturbed"
    covered, size = by_other_half(
        many,
        side,
        kept_threshold,
        lambda t, sure, right, p: (1 - p <= t, 1.0 * (1 - p <= t) + (p <= t)),
    )
    found = task_metrics(many)
    assert found[f"coverage_90{end}"] == pytest.approx(covered.mean())
    assert found[f"set_size_90{end}"] == pytest.approx(size.mean())
    given, wrong = by_other_half(
        many,
        side,
        lambda sure, right, p: np.sort(sure)[::-1][math.ceil(0.8 * len(sure)) - 1],
        lambda t, sure, right, p: (sure >= t, (sure >= t) & (right == 0)),
    )
    assert found[f"answered_80{end}"] == pytest.approx(given.mean())
    assert found[f"risk_80{end}"] == pytest.approx(wrong.sum() / given.sum())


def test_stated_certainty_is_repaired_as_by_scikit_learn(many):
    rng = np.random.default_rng(1)
    said = [
        stated(s, *(round(float(rng.random()), 1) for _ in range(1 + len(s.variants))))
        for s in many
    ]

    def swapped(samples):
        # The same rows with the stated number for the token's confidence.
        return [
            replace(
                s,
                clean=replace(s.clean, confidence=s.clean.verbal_confidence),
                variants=tuple(replace(r, confidence=r.verbal_confidence) for r in s.variants),
            )
            for s in samples
        ]

    for side, end in (("perturbed", ""), ("clean", "_clean")):
        sure, right = by_other_half(
            swapped(said),
            side,
            lambda s, r, p: IsotonicRegression(out_of_bounds="clip").fit(s, r),
            lambda model, s, r, p: (model.predict(s), r),
        )
        found = task_metrics(said)
        assert found[f"verbal_brier_iso{end}"] == pytest.approx(np.mean((sure - right) ** 2))
        expected = expected_calibration_error(np.clip(sure, 0, 1), right)
        assert found[f"verbal_ece_iso{end}"] == pytest.approx(expected, abs=1e-3)


def signals_of(samples):
    parsed = [s for s in samples if s.clean.answer is not None]
    wrong = np.array([not s.clean.correct for s in parsed])
    doubt = np.array([1 - s.clean.confidence for s in parsed])
    entropy = np.array([s.clean.entropy for s in parsed])
    return parsed, wrong, doubt, entropy


def test_signals_of_errors_are_ranked_as_by_scikit_learn(many):
    _, wrong, doubt, entropy = signals_of(many)
    found = task_metrics(many)
    auroc = {name: roc_auc_score(wrong, s) for name, s in (("d", doubt), ("e", entropy))}
    assert found["error_auroc_confidence"] == pytest.approx(auroc["d"])
    assert found["error_auroc_entropy"] == pytest.approx(auroc["e"])
    assert found["error_auroc_gain_entropy"] == pytest.approx(auroc["e"] - auroc["d"])


def test_the_joined_signal_is_scikit_learns(many):
    # Without variants that answer differently, two signals are all that tell.
    alone = [replace(s, variants=(replace(s.variants[0], answer=s.clean.answer),)) for s in many]
    parsed, wrong, doubt, entropy = signals_of(alone)
    signals = np.column_stack([doubt, entropy])
    halves = second_half([s.image_id for s in parsed])
    chance = np.empty(len(parsed))
    for half in (False, True):
        scaler = StandardScaler().fit(signals[halves != half])
        model = LogisticRegression(tol=1e-10).fit(
            scaler.transform(signals[halves != half]), wrong[halves != half]
        )
        rows = scaler.transform(signals[halves == half])
        chance[halves == half] = model.predict_proba(rows)[:, 1]
    found = task_metrics(alone)
    assert found["error_auroc_pair"] == pytest.approx(roc_auc_score(wrong, chance), abs=1e-3)
    gain = roc_auc_score(wrong, chance) - roc_auc_score(wrong, doubt)
    assert found["error_auroc_gain_pair"] == pytest.approx(gain, abs=1e-3)
    assert found["error_auroc_pair"] > max(found["error_auroc_confidence"], 0.5)


def turned(value):
    """The value with a clean answer that is as sure as before, and of the other correctness."""
    if "signals" in value:
        return {**value, "wrong": 1 - value["wrong"]}
    if "gold" not in value:
        shown = {"clean_correct": [1 - hit for hit in value["clean_correct"]]}
        return {**value, **shown, "clean": [1 - sure for sure in value["clean"]]}
    return {**value, "clean": [probs[::-1] for probs in value["clean"]]}


# What is fitted, and a column that depends on it.
FITS = {
    "ece_ts": (partial(fits.scaled, "perturbed"), "confidence"),
    "verbal_ece_iso": (partial(fits.repaired, "perturbed"), "confidence"),
    "coverage_90": (partial(fits.lac_sets, "perturbed"), "covered"),
    "aps_coverage_90": (partial(fits.aps_sets, "perturbed"), "covered"),
    "risk_80": (partial(fits.accepted, "perturbed"), "given"),
    "error_auroc_pair": (fits.joined_signals, "signal"),
}


@pytest.mark.parametrize("name", FITS)
def test_nothing_leaks_from_the_half_that_is_judged(many, name):
    said = [stated(s, *([s.clean.confidence] * (1 + len(s.variants)))) for s in many]
    values = extract_columns(METRICS[name], said).values
    halves = second_half([value["image_id"] for value in values])
    # Every other one, so that what is fitted on them is another thing.
    other = [
        turned(value) if second and n % 2 else value
        for n, (value, second) in enumerate(zip(values, halves, strict=True))
    ]
    make, column = FITS[name]
    before, after = make(values).table(), make(other).table()
    assert (before.owner == after.owner).all()
    own, same = halves[before.owner], before.columns[column] == after.columns[column]
    assert same[own].all() and not same[~own].all()


def test_halves_by_hand():
    names = {bool(second_half([name])[0]): name for name in "abcdefgh"}

    def about(half, wrong, p):
        rows = []
        for n in range(4):
            gold = "No" if n < wrong else "Yes"
            sample = yes_no_document(gold, ("Yes", 0.1, p, 1.0), [(NOISE, "Yes", 0.1, p, 1.0)])
            rows.append(replace(sample, image_id=names[half]))
        return rows

    # One of four wrong at .9: odds 3 = 9^(1/T); one of four at .8: 3 = 4^(1/T).
    samples = about(False, 1, 0.9) + about(True, 1, 0.8)
    found = task_metrics(samples)
    by_first, by_second = math.log(9) / math.log(3), math.log(4) / math.log(3)
    sure = [9 ** (1 / by_second), 4 ** (1 / by_first)]
    sure = [odds / (1 + odds) for odds in sure]
    assert found["ece_ts"] == pytest.approx(np.mean([abs(s - 0.75) for s in sure]))
    assert found["brier_ts"] == pytest.approx(
        np.mean([0.75 * (1 - s) ** 2 + 0.25 * s**2 for s in sure])
    )
    assert found["nll_ts"] == pytest.approx(
        -np.mean([0.75 * math.log(s) + 0.25 * math.log(1 - s) for s in sure])
    )


def test_clean_answers_are_fitted_on_once_and_count_once_a_variant(many):
    found = task_metrics(many)
    doubled = [replace(s, variants=(*s.variants, *s.variants)) for s in many]
    assert task_metrics(doubled)["temperature"] == found["temperature"]
    # Variants of the same pixels count once, but these have no digests.
    assert task_metrics(doubled)["nll_ts_clean"] == pytest.approx(found["nll_ts_clean"])
    uneven = [replace(s, variants=s.variants * (3 if s.clean.correct else 1)) for s in many]
    assert task_metrics(uneven)["risk_80_clean"] < found["risk_80_clean"]
    assert task_metrics(uneven)["temperature"] == found["temperature"]


def test_what_does_not_apply_is_absent():
    def trusted(samples):
        names = {n for n in task_metrics(samples) if n.removesuffix("_clean") in TOKEN}
        return names

    some = drawn(60, 40)
    assert len(trusted(some)) == 2 * len(TOKEN)
    without = [replace(s, variants=()) for s in some]
    assert not trusted(without)
    captions = [open_document(None, ("a dog", None, 0.1), [("a cat", None, 0.2)])] * 60
    named = [replace(s, image_id=f"{n}") for n, s in enumerate(captions)]
    assert not trusted(named) and "error_auroc_entropy" not in task_metrics(named)
    # All right: no temperature is the best, and there is no error to find.
    right = [
        replace(
            yes_no_document("Yes", ("Yes", 0.1, 0.9, 1.0), [(NOISE, "Yes", 0.1, 0.9, 1.0)]),
            image_id=f"{n}",
        )
        for n in range(40)
    ]
    left = task_metrics(right)
    assert not {"temperature", "ece_ts", "error_auroc_confidence", "error_auroc_pair"} & set(left)
    assert left["coverage_90"] == 1.0 and left["risk_80"] == 0.0
    # Under 9 images in a half promise nothing.
    assert "coverage_90" not in task_metrics(drawn(60, 10))


def test_shares_of_options_are_scaled_as_probabilities_are(many):
    def options(sample):
        pairs = [
            ((math.log(r.probs["Yes"]), 0.0), (math.log(r.probs["No"]), 0.0))
            for r in (sample.clean, *sample.variants)
        ]
        return scored(sample, *pairs)

    def parsed(sample):
        # The likeliest label is the answer, as it is of options.
        rows = [
            replace(
                r,
                answer=(best := max(r.probs, key=r.probs.get)),
                confidence=r.probs[best],
                correct=best == sample.gold,
            )
            for r in (sample.clean, *sample.variants)
        ]
        return replace(sample, clean=rows[0], variants=tuple(rows[1:]))

    found = task_metrics([options(parsed(sample)) for sample in many])
    for name in ("temperature", "ece_ts", "nll_ts", "brier_ts_clean"):
        assert found[f"loglik_{name}"] == pytest.approx(found[name], abs=1e-6)


def test_order_leaves_no_trace(many):
    shuffled = [many[k] for k in np.random.default_rng(6).permutation(len(many))]
    assert task_metrics(shuffled) == task_metrics(many)


def paired(name, one, other):
    runs = [extract_columns(METRICS[name], samples) for samples in (one, other)]
    return Columns(
        [value for run in runs for value in run.values],
        [image for run in runs for image in run.clusters],
        [bool(second) for second, run in enumerate(runs) for _ in run.values],
    )


TRUSTED = (*TOKEN, "temperature", "error_auroc_entropy", "error_auroc_pair")


@pytest.mark.parametrize("name", [*TRUSTED, "error_auroc_gain_entropy", "error_auroc_gain_pair"])
def test_intervals_are_around_the_number_and_that_of_two_runs_around_their_difference(many, name):
    number = measure(many, [name])[name]
    # The ECE is biased upwards, and its interval need not hold it.
    assert number.low <= number.value <= number.high or name == "ece_ts"
    other = drawn(seed=1)
    difference = interval(METRICS[name], paired(name, many, other))
    expected = task_metrics(other, [name])[name] - number.value
    assert difference.estimate == pytest.approx(expected, abs=1e-9)
    assert difference.low < difference.high
    assert number.high - number.low < 2 * (difference.high - difference.low)


@pytest.mark.parametrize("name", [*TRUSTED, "error_auroc_gain_pair"])
def test_one_run_without_values_has_no_difference(many, name):
    unlabelled = [replace(s, gold=None) for s in many[:50]]
    assert interval(METRICS[name], paired(name, many, unlabelled)) is None


def test_few_images_have_no_interval():
    few = drawn(100, 4)
    numbers = measure(few, TRUSTED)
    assert "risk_80" in numbers and all(number.low is None for number in numbers.values())


def test_one_error_among_the_answers_given_has_an_interval():
    def sure(n, gold):
        p = 0.9 + n / 1000
        clean, moved = ("Yes", 0.1, p, 1.0), [(NOISE, "Yes", 0.1, p, 1.0)]
        return replace(yes_no_document(gold, clean, moved), image_id=f"image {n}")

    found = measure([sure(n, "No" if n == 59 else "Yes") for n in range(60)], ["risk_80"])
    number = found["risk_80"]
    assert 0 <= number.low < number.value < 0.03 < number.high <= 1
