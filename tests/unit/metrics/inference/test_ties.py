"""AUROC where most scores are equal: what the jackknife does not see there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, norm, t

from vlm_confidence_tasks.metrics.functional.ranking import auroc_of_ranks
from vlm_confidence_tasks.metrics.inference.clusters import Interval, difference
from vlm_confidence_tasks.metrics.inference.jackknife import ranking_interval
from vlm_confidence_tasks.metrics.inference.ties import auroc_interval

from ..everything import ends

# 6 wrong answers at 1, 24 right ones at 1 and 10 right ones under it, each of an image of its own.
SCORE = np.repeat([1.0, 0.7, 0.8], [30, 5, 5])
RIGHT = np.arange(40) >= 6
IMAGES = np.arange(40)


def exact(share, images, level=0.95):
    """Clopper and Pearson's interval, of as many answers as Student's t leaves of the images."""
    tail = (1 - level) / 2
    size = images * (norm.ppf(tail) / t.ppf(tail, images - 1)) ** 2
    ends = beta.ppf([tail, 1 - tail], share * size + [0, 1], (1 - share) * size + [1, 0])
    return np.where([share == 0, share == 1], [0, 1], ends)


def saturated(rng, images):
    """90% of the confidences are exactly 1, and 2% of the answers are wrong wherever they lie."""
    image = np.repeat(np.arange(images), rng.integers(1, 19, images))
    score = np.where(rng.random(image.size) < 0.9, 1.0, rng.uniform(0.5, 1, image.size))
    return score, rng.random(image.size) < 0.98, image


def test_wrong_answers_that_all_lie_on_the_tie_by_hand():
    # A wrong answer on the tie is beaten by half of the 24; any other by at least all of them.
    found = auroc_interval(SCORE, RIGHT, IMAGES)
    least = 12 / 34
    high = least + (1 - least) * exact(0.0, 6)[1]
    smooth = ranking_interval(auroc_of_ranks, SCORE, RIGHT, IMAGES)
    assert ends(found) == pytest.approx((least, smooth.low, high))
    assert smooth.high < 0.55 < high and found.low > 0.1


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_some_off_the_tie_are_events_of_a_rate(level):
    score = np.where(np.arange(40) == 0, 0.75, SCORE)
    found = auroc_interval(score, RIGHT, IMAGES, level=level)
    least, area = 12 / 34, (5 * 12 + 29) / (6 * 34)
    low, high = least + (1 - least) * exact((area - least) / (1 - least), 6, level)
    smooth = ranking_interval(auroc_of_ranks, score, RIGHT, IMAGES, level=level)
    assert ends(found) == pytest.approx((area, min(low, smooth.low), max(high, smooth.high)))


def test_the_other_way_round_it_is_the_same_interval():
    found = auroc_interval(SCORE, RIGHT, IMAGES)
    for other in (auroc_interval(-SCORE, RIGHT, IMAGES), auroc_interval(SCORE, ~RIGHT, IMAGES)):
        assert ends(other) == pytest.approx([1 - found.estimate, 1 - found.high, 1 - found.low])
    assert ends(auroc_interval(-SCORE, ~RIGHT, IMAGES)) == pytest.approx(ends(found))


def test_without_a_large_tie_it_is_the_jackknifes():
    rng = np.random.default_rng(0)
    for score in (rng.random(80), np.repeat(rng.random(40), 2)):
        right, image, second = rng.random(80) < 0.8, np.arange(80) % 40, np.arange(80) >= 40
        for paired in (None, second):
            theirs = ranking_interval(auroc_of_ranks, score, right, image, paired=paired)
            assert auroc_interval(score, right, image, paired=paired) == theirs


def test_a_difference_is_that_of_two_intervals():
    other = np.random.default_rng(1).random(40)
    second = np.repeat([False, True], 40)
    columns = np.append(SCORE, other), np.tile(RIGHT, 2), np.tile(IMAGES, 2)
    found = auroc_interval(*columns, paired=second)
    alone = auroc_interval(SCORE, RIGHT, IMAGES), auroc_interval(other, RIGHT, IMAGES)
    assert found == difference(*alone, 0.0)


def test_where_all_scores_are_equal_nothing_is_known():
    found = auroc_interval([0.7] * 40, RIGHT, IMAGES)
    assert found.estimate == 0.5 and found.low < 0.2 and found.high > 0.8
    few = np.arange(40) >= 4
    assert auroc_interval(SCORE, few, IMAGES) is None


def held(interval: Interval | None) -> bool:
    return interval is not None and interval.low <= 0.5 <= interval.high


def test_it_holds_where_the_jackknife_collapses():
    """30 images; 60 repeats: at 95% under 52 would be 3 standard errors off."""
    runs = [saturated(np.random.default_rng([7, n]), 30) for n in range(120)]
    runs = [run for run in runs if np.unique(run[2][~run[1]]).size >= 5][:60]
    assert len(runs) == 60
    assert sum(held(auroc_interval(*run)) for run in runs) >= 57
    assert sum(held(ranking_interval(auroc_of_ranks, *run)) for run in runs) < 45
