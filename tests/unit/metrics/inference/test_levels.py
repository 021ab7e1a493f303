"""Intervals at other levels than 95%: nested, and by hand where there is a formula."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import stats

from vlm_confidence_tasks.metrics import (
    calibration_error_interval,
    expected_calibration_error,
    mean_interval,
    rate_interval,
)
from vlm_confidence_tasks.metrics.inference.clusters import draws_for
from vlm_confidence_tasks.metrics.inference.jackknife import deleted_interval
from vlm_confidence_tasks.metrics.inference.rare_errors import overconfidence_interval

IMAGES = 40
LEVELS = (0.8, 0.95, 0.99, 0.999)


def made():
    """Confidences and correctness of 80 answers about 40 images, and an interval of each kind."""
    rng = np.random.default_rng(0)
    images = np.repeat(np.arange(IMAGES), 2)
    sure = rng.uniform(0.5, 1.0, images.size)
    right = rng.random(images.size) < sure - 0.1
    ones = np.ones(images.size)
    groups = [[float(np.mean(right[images != image]))] for image in range(IMAGES)]
    yield "mean", partial(mean_interval, sure, ones, images)
    yield "rate", partial(rate_interval, right, ones, images)
    yield "jackknife", partial(deleted_interval, [[float(right.mean())], *groups], "logit")
    yield "overconfidence", partial(overconfidence_interval, sure, right, ones, images)
    ece = expected_calibration_error(sure, right)
    yield "calibration error", partial(calibration_error_interval, sure, right, images, ece)


@pytest.mark.parametrize(("kind", "at"), list(made()))
def test_a_wider_level_gives_a_wider_interval(kind, at):
    found = [at(level=level) for level in LEVELS]
    for narrow, wide in zip(found, found[1:], strict=False):
        assert wide.estimate == narrow.estimate
        assert wide.low <= narrow.low and narrow.high <= wide.high
        assert wide.high - wide.low > narrow.high - narrow.low
    assert at() == found[LEVELS.index(0.95)]


@pytest.mark.parametrize("level", LEVELS)
def test_an_exact_rate_by_hand(level):
    """10 of 40 images, an answer each."""
    tail = (1.0 - level) / 2.0
    hits = np.arange(IMAGES) < 10
    found = rate_interval(hits, np.ones(IMAGES), np.arange(IMAGES), level=level)
    p = 0.25
    # The jackknife's variance of a mean, and the binomial one: 39 instead of 40 below.
    effective = p * (1 - p) / (p * (1 - p) / (IMAGES - 1))
    effective *= (stats.norm.ppf(tail) / stats.t.ppf(tail, IMAGES - 1)) ** 2
    assert found.low == pytest.approx(stats.beta(p * effective, 0.75 * effective + 1).ppf(tail))
    assert found.high == pytest.approx(
        stats.beta(p * effective + 1, 0.75 * effective).ppf(1 - tail)
    )


@pytest.mark.parametrize("level", LEVELS)
def test_a_mean_is_never_narrower_than_students(level):
    values = np.random.default_rng(1).standard_normal(IMAGES)
    found = mean_interval(values, np.ones(IMAGES), np.arange(IMAGES), level=level)
    reach = stats.t.ppf((1 + level) / 2, IMAGES - 1) * values.std(ddof=1) / np.sqrt(IMAGES)
    assert found.low <= values.mean() - reach + 1e-9
    assert found.high >= values.mean() + reach - 1e-9


def test_far_ends_have_draws_beyond_them():
    assert draws_for(0.95, 1000) == 1000
    for level in (0.999, 0.9999):
        assert draws_for(level, 1000) * (1 - level) / 2 >= 5 - 1e-6
