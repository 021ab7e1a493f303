"""Ranks of models: by hand, against paired differences, and of models that are equal."""

from __future__ import annotations

import numpy as np
import pytest

from vlm_confidence_tasks.metrics import Interval, mean_interval, rate_interval
from vlm_confidence_tasks.metrics.inference.ranks import (
    Standing,
    level_among,
    rank_intervals,
    ratio_influence,
)


def standings(numbers, interval, models=None):
    """Of models, [K, I] of one number an image."""
    images = np.arange(len(numbers[0]))
    ones, level = np.ones(images.size), level_among(models or len(numbers), paired=True)
    return [
        Standing(
            interval(own, ones, images, level=level),
            level,
            ratio_influence(own, ones, images, images.size),
        )
        for own in np.asarray(numbers, dtype=np.float64)
    ]


def rates(*hits, images=100):
    """Of models that have the first so many images right: as alike as they can be."""
    return standings([np.arange(images) < hit for hit in hits], rate_interval)


def test_by_hand():
    assert rank_intervals(rates(90, 50, 48), True) == [(1, 1), (2, 3), (2, 3)]
    assert rank_intervals(rates(90, 50, 48), False) == [(3, 3), (1, 2), (1, 2)]
    # The middle one is told from neither neighbour, but the outer ones are.
    assert rank_intervals(rates(60, 55, 50), True) == [(1, 2), (1, 3), (2, 3)]


def test_pairs_tell_what_intervals_that_overlap_do_not():
    (first, second) = rates(60, 50)
    assert first.interval.low < second.interval.high
    assert rank_intervals([first, second], True) == [(1, 1), (2, 2)]
    alone = [Standing(one.interval, one.level) for one in (first, second)]
    assert rank_intervals(alone, True) == [(1, 2), (1, 2)]


@pytest.mark.parametrize("interval", [rate_interval, mean_interval])
def test_two_models_are_told_apart_where_the_interval_of_their_difference_is(interval):
    rng, told = np.random.default_rng(0), []
    for gap in np.linspace(0.0, 0.4, 40):
        numbers = rng.random((2, 60)) + [[gap], [0]]
        numbers = numbers / 2 if interval is mean_interval else numbers > 0.7
        both, side = numbers.ravel().astype(float), np.repeat([True, False], 60)
        images = np.tile(np.arange(60), 2)
        found = interval(both, np.ones(120), images, paired=side)
        told.append(rank_intervals(standings(numbers, interval), True) == [(1, 1), (2, 2)])
        assert told[-1] == (found.excludes_zero and found.low > 0)
    assert 5 < sum(told) < 35


def test_all_against_none_is_certain_and_one_image_is_not():
    assert rank_intervals(rates(30, 0, images=30), True) == [(1, 1), (2, 2)]
    assert rank_intervals(rates(29, 0, images=30), True) == [(1, 1), (2, 2)]
    assert rank_intervals(rates(30, 29, images=30), True) == [(1, 2), (1, 2)]


def test_a_difference_that_one_image_decides_is_not_certain():
    """Not even where it is many standard errors from 0."""
    ahead = 1 + 0.1 * np.sin(np.arange(30))
    both = [ahead, np.zeros(30) + 1e-3 * np.arange(30)]
    assert rank_intervals(standings(both, mean_interval), True) == [(1, 1), (2, 2)]
    ahead[-1] = 3.0
    assert mean_interval(ahead, np.ones(30), np.arange(30)).low > 0.9
    assert rank_intervals(standings(both, mean_interval), True) == [(1, 2), (1, 2)]


def test_a_model_without_an_interval_may_have_any_rank():
    first, second = rates(90, 50)
    assert rank_intervals([first, None, second], True) == [(1, 2), (1, 3), (2, 3)]


def test_images_without_an_answer_are_no_agreement():
    """As in the interval of the difference, images are those with an answer in either run."""
    image = np.arange(40)
    moved = ratio_influence(np.ones(40), np.ones(40), image, 60)
    assert np.isnan(moved[40:]).all() and not np.isnan(moved[:40]).any()
    hits = [image < 20, image < 13]
    few = standings(hits, rate_interval)
    padded = [
        Standing(one.interval, one.level, np.append(one.influence, [np.nan] * 1000)) for one in few
    ]
    assert rank_intervals(padded, True) == rank_intervals(few, True) == [(1, 1), (2, 2)]


def test_the_level_is_that_of_all_pairs_together():
    assert level_among(2, True) == pytest.approx(0.95)
    assert level_among(10, True) == pytest.approx(1 - 0.05 / 45)
    assert level_among(10, False) == pytest.approx(1 - 0.05 / 10)


def test_intervals_that_lie_apart_where_one_image_decides():
    apart = [Interval(m, m - 0.1, m + 0.1, influence) for m, influence in ((0.2, 0.1), (0.9, 0.4))]
    assert rank_intervals([Standing(one, 0.975) for one in apart], True) == [(1, 2), (1, 2)]


@pytest.mark.parametrize(("models", "images"), [(2, 100), (5, 30), (5, 100), (10, 100)])
def test_equal_models_share_all_ranks(models, images):
    """On at most 5% of boards one is called better; seven of 60 happen by chance in 1 of 40."""
    rng, wrong = np.random.default_rng(models), 0
    for _ in range(60):
        common = rng.standard_normal((1, images))
        numbers = common + rng.standard_normal((models, images)) < 0.5
        found = rank_intervals(standings(numbers, rate_interval), True)
        wrong += found != [(1, models)] * models
    assert wrong <= 6


def test_a_better_model_is_alone_at_rank_1():
    rng, first = np.random.default_rng(0), 0
    for _ in range(30):
        numbers = rng.standard_normal((5, 300)) + rng.standard_normal((1, 300)) < 0.5
        numbers[0] |= rng.random(300) < 0.5
        first += rank_intervals(standings(numbers, rate_interval), True)[0] == (1, 1)
    assert first >= 25
