"""Overconfidence and losses where a sample may hold no error at all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from vlm_confidence_tasks.metrics import calibration_intercept
from vlm_confidence_tasks.metrics.inference.calibration_error import calibration_error_interval
from vlm_confidence_tasks.metrics.inference.means import mean_interval
from vlm_confidence_tasks.metrics.inference.rare_errors import (
    calibration_intercept_interval,
    loss_interval,
    overconfidence_interval,
)
from vlm_confidence_tasks.metrics.inference.rates import rate_interval


def moderate(rng, images, questions=6):
    confidence = rng.uniform(0.5, 1.0, images * questions)
    hits = (rng.random(confidence.size) < confidence - 0.1).astype(float)
    return confidence, hits, np.repeat(np.arange(images), questions)


def of_answers(confidence, hits, images, **paired):
    return overconfidence_interval(confidence, hits, np.ones(hits.size), images, **paired)


def test_where_errors_are_common_it_is_as_wide_as_the_means_of_the_differences():
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(30):
        confidence, hits, images = moderate(rng, 100)
        found = of_answers(confidence, hits, images)
        plain = mean_interval(confidence - hits, np.ones(hits.size), images)
        assert found.estimate == pytest.approx(plain.estimate, abs=1e-12)
        ratios.append((found.high - found.low) / (plain.high - plain.low))
    assert 0.95 < np.mean(ratios) < 1.15


def test_answers_that_are_added_up_count_as_one_at_most():
    confidence, hits, images = moderate(np.random.default_rng(1), 40)
    added = [np.bincount(images, column) for column in (confidence, hits, np.ones(hits.size))]
    one, other = of_answers(confidence, hits, images), overconfidence_interval(*added, range(40))
    assert other.estimate == pytest.approx(one.estimate, abs=1e-12)
    assert other.low < one.low and one.high < other.high


def test_nothing_wrong_in_the_sample_does_not_show_that_nothing_is():
    images = np.arange(30)
    found = of_answers(np.full(30, 0.999), np.ones(30), images)
    accuracy = rate_interval(np.ones(30), np.ones(30), images)
    assert found.estimate == pytest.approx(-0.001)
    assert found.high >= 1.0 - accuracy.low - 0.001
    error = calibration_error_interval(np.full(30, 0.999), np.ones(30), images, 0.001)
    assert error.low == 0.0 and error.high >= found.high


def test_common_losses_have_the_means_interval_and_rare_ones_a_wider_one():
    confidence, hits, images = moderate(np.random.default_rng(3), 100)
    losses, ones = (confidence - hits) ** 2, np.ones(hits.size)
    assert loss_interval(losses, ones, images) == mean_interval(losses, ones, images)
    rare, images = np.where(np.arange(60) < 3, 0.99, 1e-4), np.arange(60)
    mean, found = mean_interval(rare, np.ones(60), images), loss_interval(rare, np.ones(60), images)
    assert found.low == max(0.0, mean.low) and found.high >= mean.high
    assert found.high == rate_interval(rare, np.ones(60), images).high > 0.1


def test_losses_that_all_agree_have_one():
    found = loss_interval(np.full(30, 1e-4), np.ones(30), np.arange(30))
    assert found.estimate == pytest.approx(1e-4) and found.high > 0.1


@pytest.mark.parametrize("interval", ["overconfidence", "loss"])
def test_there_is_none_of_few_images_or_of_one_that_is_most_of_all(interval):
    def found(images, counts):
        columns = [0.5 * counts, 0.25 * counts, counts]
        if interval == "loss":
            return loss_interval(*columns[1:], images)
        return overconfidence_interval(*columns, images)

    counts = np.array([1.0, 2.0, 1.0, 2.0, 1.0, 2.0])
    assert found(np.arange(6), counts) is not None
    assert found(np.arange(6) % 4, counts) is None
    counts[0] = 9.0
    assert found(np.arange(6), counts) is None


def some_answers(images=60):
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.55, 0.99, 2 * images)
    return confidence, rng.random(confidence.size) < confidence - 0.1, np.arange(2 * images) // 2


def test_ends_of_an_intercept_are_those_of_overconfidence_in_log_odds():
    confidence, right, images = some_answers()
    found = calibration_intercept_interval(confidence, right, images)
    assert found.estimate == calibration_intercept(confidence, right)
    shifted = expit(logit(confidence) + found.estimate)
    gap = overconfidence_interval(shifted, right, np.ones(right.size), images)
    assert gap.estimate == pytest.approx(0.0, abs=1e-12)
    for end, reach in ((found.low, gap.high), (found.high, gap.low)):
        assert expit(logit(confidence) + end).mean() == pytest.approx(right.mean() - reach)


def test_an_intercept_has_none_without_an_end():
    confidence, right, images = some_answers()
    assert calibration_intercept_interval(confidence, np.ones(right.size), images) is None
    # One of 60 images is wrong: all others of its kind may be right.
    assert calibration_intercept_interval(np.full(60, 0.99), np.arange(60) > 0, range(60)) is None
    assert calibration_intercept_interval(confidence[:8], right[:8], images[:8]) is None


def test_intercepts_of_two_runs_are_compared():
    confidence, right, images = some_answers()
    both = [np.tile(column, 2) for column in (confidence, right, images)]
    paired = np.repeat([False, True], right.size)
    same = calibration_intercept_interval(*both, paired=paired)
    assert same.estimate == 0 and same.low < 0 < same.high
    both[0][paired] = expit(logit(confidence) + 3.0)
    moved = calibration_intercept_interval(*both, paired=paired)
    assert moved.estimate == pytest.approx(-3.0) and moved.high < 0
