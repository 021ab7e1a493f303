"""Signals that a clean answer is wrong, alone and joined, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from vlm_confidence_tasks.metrics import Answers, auroc, jackknife_interval, signal_prices
from vlm_confidence_tasks.metrics.functional.cross_fitting import second_half
from vlm_confidence_tasks.metrics.inference.clusters import difference
from vlm_confidence_tasks.metrics.inference.ties import auroc_interval

from ..everything import documents, ends, table
from ..making import METRICS, values


def answer_entropy(sample):
    said = [r.answer for r in (sample.clean, *sample.variants) if not r.control]
    return entropy([said.count(answer) for answer in set(said)])


def context_drift(sample):
    return np.mean([r.inside.drift["context"] for r in sample.variants if not r.control])


SIGNALS = {
    "confidence": lambda sample: 1 - sample.clean.confidence,
    "entropy": lambda sample: sample.clean.entropy,
    "verbal": lambda sample: 1 - sample.clean.verbal_confidence,
    "visual_entropy": answer_entropy,
    "drift": context_drift,
    "layer_entropy": lambda sample: sample.clean.inside.layer_entropy[1],
}


def parsed(samples):
    return [sample for sample in samples if sample.clean.answer is not None]


def wrong(samples):
    return np.array([not sample.clean.correct for sample in samples])


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_are_ranked_as_by_scikit_learn(name):
    held = [s for s in parsed(documents()) if name != "verbal" or s.clean.verbal_text]
    if name == "verbal":
        held = [s for s in held if s.clean.verbal_confidence is not None]
    doubt, signal = (np.array([SIGNALS[n](s) for s in held]) for n in ("confidence", name))
    expected = roc_auc_score(wrong(held), signal)
    assert METRICS[f"error_auroc_{name}"].value(table()) == pytest.approx(expected)
    errors, images = wrong(held), [s.image_id for s in held]
    theirs = auroc_interval(signal, errors, images)
    found = METRICS[f"error_auroc_{name}"].interval(table())
    assert ends(found) == pytest.approx(ends(theirs), abs=1e-9)
    found = METRICS[f"error_auroc_gain_{name}"].interval(table()) if name != "confidence" else None
    if name in ("visual_entropy", "verbal"):
        # Many documents have one number, and few wrong ones another.
        both = [auroc_interval(column, errors, images) for column in (doubt, signal)]
        assert ends(found) == pytest.approx(ends(difference(*both, 0.0)))
    elif name != "confidence":
        theirs = jackknife_interval(
            lambda rows: auroc(signal[rows], errors[rows]) - auroc(doubt[rows], errors[rows]),
            images,
        )
        assert ends(found) == pytest.approx(ends(theirs), abs=1e-9)


def two_signals(samples):
    """The documents with nothing to tell errors by but confidence and entropy."""
    return [
        replace(
            s,
            clean=replace(s.clean, inside=None, verbal_text=None, verbal_confidence=None),
            variants=(replace(s.variants[0], answer=s.clean.answer, inside=None),),
        )
        for s in samples
    ]


def chances(samples):
    """By the logistic regression of the other half."""
    signals = np.column_stack([[SIGNALS[n](s) for s in samples] for n in ("confidence", "entropy")])
    errors, halves = wrong(samples), second_half([s.image_id for s in samples])
    chance = np.empty(len(samples))
    for half in (False, True):
        theirs, own = halves != half, halves == half
        scaler = StandardScaler().fit(signals[theirs])
        model = LogisticRegression(tol=1e-10).fit(scaler.transform(signals[theirs]), errors[theirs])
        chance[own] = model.predict_proba(scaler.transform(signals[own]))[:, 1]
    return chance


def test_the_joined_signal_is_scikit_learns():
    held = two_signals(parsed(documents(200)))
    pair, doubt, errors = chances(held), [SIGNALS["confidence"](s) for s in held], wrong(held)
    found = values(held)
    assert found["error_auroc_pair"] == pytest.approx(roc_auc_score(errors, pair), abs=1e-3)
    gain = roc_auc_score(errors, pair) - roc_auc_score(errors, doubt)
    assert found["error_auroc_gain_pair"] == pytest.approx(gain, abs=1e-3)


def test_the_joined_signal_is_fitted_anew_without_each_image():
    held = two_signals(parsed(documents(200)))
    errors = wrong(held)

    def measured(rows):
        return roc_auc_score(errors[rows], chances([held[n] for n in rows]))

    theirs = jackknife_interval(measured, [s.image_id for s in held], scale="logit")
    found = METRICS["error_auroc_pair"].interval(Answers.of(held))
    assert ends(found) == pytest.approx(ends(theirs), abs=5e-3)


def test_prices_are_the_answers_that_a_signal_takes():
    found = signal_prices(table())
    shown = [sum(not r.control for r in s.variants) for s in parsed(documents())]
    assert found["confidence"] == found["entropy"] == found["layer_entropy"] == 1
    assert found["verbal"] == 2
    assert found["drift"] == found["visual_entropy"] == pytest.approx(1 + np.mean(shown))
    assert 1 <= found["pair"] <= 2 + np.mean(shown)
    assert signal_prices(Answers.of([])) == {}


def test_a_gain_over_saturated_confidence_knows_what_is_not_seen():
    """Where the wrong answers are all at a confidence of 1, what one off it changes is not seen."""

    def sure(sample, n):
        p = 1.0 if n % 4 or not sample.clean.correct else 0.6
        answer = sample.clean.answer or "Yes"
        probs = {label: p if label == answer else 1 - p for label in ("Yes", "No")}
        clean = replace(sample.clean, answer=answer, confidence=p, probs=probs)
        return replace(sample, clean=clean)

    held = parsed(documents())
    found = Answers.of([sure(sample, n) for n, sample in enumerate(held)])
    gain, alone = (METRICS[f"error_auroc_{name}"] for name in ("gain_entropy", "confidence"))
    both = [METRICS[f"error_auroc_{n}"].interval(found) for n in ("confidence", "entropy")]
    assert ends(gain.interval(found)) == pytest.approx(ends(difference(*both, 0.0)))
    # The gains of two runs likewise.
    other = Answers.of(held)
    gains = gain.interval(found), gain.interval(other)
    wide = gain.difference(found, other)
    assert wide.estimate == pytest.approx(gains[1].estimate - gains[0].estimate)
    assert wide.high - wide.low > gains[0].high - gains[0].low
    # The wrong ones seen lie on the tie, at .36; others would lie above.
    assert alone.interval(found).high > 0.5 > 0.4 > alone.value(found)
