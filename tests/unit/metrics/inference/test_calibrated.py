"""The ECE of calibrated models: floor and test against simulations of what they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from vlm_confidence_tasks.metrics import calibration_test, expected_calibration_error

from .clustered import answers


def variants(rng, documents=100, count=24):
    """Confidences of the variants of each document, and the document of each."""
    document = np.repeat(np.arange(documents), count)
    base = rng.uniform(0.2, 1, documents)[document]
    return np.clip(base + rng.normal(0, 0.03, document.size), 0, 1), document


def mean_error(confidence, draw, repeats=200):
    """Mean ECE of answers that are right where a drawn number is below the confidence."""
    drawn = [expected_calibration_error(confidence, draw() < confidence) for _ in range(repeats)]
    return np.mean(drawn), np.std(drawn)


def test_variants_that_are_decided_by_one_number():
    """The floor of independent answers is a fifth of what a calibrated model shows."""
    rng = np.random.default_rng(0)
    floors, p = [], []
    for _ in range(40):
        confidence, document = variants(rng)
        correct = rng.random(100)[document] < confidence
        found = calibration_test(confidence, correct, document, document)
        floors.append(found.floor)
        p.append(found.p)
    shown, _ = mean_error(confidence, lambda: rng.random(100)[document])
    independent, _ = mean_error(confidence, lambda: rng.random(2400))
    assert independent < 0.3 * shown
    assert np.mean(floors) == pytest.approx(shown, rel=0.1)
    assert np.mean(np.array(p) < 0.05) < 0.2  # 15% is 3 standard errors over 5%


def test_questions_on_one_image_that_are_decided_by_one_number():
    rng = np.random.default_rng(9)
    floors = []
    for _ in range(40):
        confidence, _, image = answers(rng, 60, 12)
        correct = rng.random(60)[image] < confidence
        floors.append(calibration_test(confidence, correct, np.arange(720), image).floor)
    shown, _ = mean_error(confidence, lambda: rng.random(60)[image])
    independent, _ = mean_error(confidence, lambda: rng.random(720))
    assert independent < 0.75 * shown
    assert np.mean(floors) == pytest.approx(shown, rel=0.12)


def test_independent_answers_are_resampled_for_consistency():
    rng = np.random.default_rng(2)
    confidence, correct, image = answers(rng, 300, 1)
    found = calibration_test(confidence, correct, image, image)
    shown, spread = mean_error(confidence, lambda: rng.random(300), repeats=1000)
    assert found.floor == pytest.approx(shown, abs=4 * spread / np.sqrt(200))


def test_a_gap_is_found():
    rng = np.random.default_rng(5)
    p = []
    for _ in range(20):
        confidence, correct, image = answers(rng, 60, 5, gap=0.15)
        p.append(calibration_test(confidence, correct, np.arange(300), image).p)
    assert np.mean(np.array(p) < 0.05) == 1
    confidence, correct, image = answers(rng, 1000, 1, gap=0.15)
    # No draw reaches it: 1 of 10,001.
    assert calibration_test(confidence, correct, image, image).p == pytest.approx(1 / 10_001)


def test_groups_put_together_anew_give_the_p_of_as_many_draws():
    rng = np.random.default_rng(3)
    confidence = 0.5 + 0.5 * rng.beta(2, 1, 600)
    for gap in (0.0, 0.05):
        correct = rng.random(600) < confidence - gap
        observed = expected_calibration_error(confidence, correct)
        found = calibration_test(confidence, correct, np.arange(600), np.arange(600)).p
        drawn = [
            expected_calibration_error(confidence, rng.random(600) < confidence)
            for _ in range(2000)
        ]
        share = np.mean(np.array(drawn) >= observed)
        # 4 standard errors, and what Student's t of 600 images adds.
        assert found == pytest.approx(share, abs=4 * np.sqrt(max(share, 0.005) / 2000) + 0.002)


def test_p_counts_the_observed_error_among_the_draws():
    confidence, correct, image = answers(np.random.default_rng(6), 100, 1, gap=0.5)
    found = [calibration_test(confidence, correct, image, image, p_draws=n) for n in (1, 9, 99)]
    assert [each.p for each in found] == pytest.approx([1 / 2, 1 / 10, 1 / 100])


def test_certain_and_right_answers_have_no_floor():
    found = calibration_test([0.0, 1.0, 1.0], [0, 1, 1], [0, 1, 2], ["a", "b", "c"])
    assert (found.floor, found.p) == (0, 1)


def test_bins_and_seed_are_what_was_asked():
    confidence, correct, image = answers(np.random.default_rng(7), 100, 2)
    rows = np.arange(200)
    one = calibration_test(confidence, correct, rows, image)
    assert calibration_test(confidence, correct, rows, image) == one
    other = calibration_test(confidence, correct, rows, image, seed=1)
    assert other != one and other.floor == pytest.approx(one.floor, rel=0.1)
    # A single bin: E|N(0, s^2)|, with s the standard error of accuracy less confidence.
    error = np.sqrt((confidence * (1 - confidence)).sum()) / 200
    single = calibration_test(confidence, correct, rows, rows, n_bins=1, draws=2000)
    assert single.floor == pytest.approx(error * np.sqrt(2 / np.pi), rel=0.1)
