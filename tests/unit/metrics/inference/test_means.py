"""The studentized bootstrap against a loop over draws, and what it must not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import t as student

from vlm_confidence_tasks.metrics import mean_interval, mean_p
from vlm_confidence_tasks.metrics.inference import means
from vlm_confidence_tasks.metrics.inference.clusters import one_image_decides, smallest_alpha

DRAWS = 300


@pytest.fixture
def data():
    """300 rows about 40 images of uneven size, on two sides."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 4, 300)
    return {
        "totals": rng.exponential(size=300) * counts,
        "counts": counts,
        "clusters": rng.choice([f"image {k:02}" for k in range(40)], 300),
        "paired": rng.random(300) < 0.5,
    }


def naive(totals, counts, clusters, paired=None, draws=DRAWS, seed=0):
    """Interval by a loop over draws, and over the conditions in each."""
    names = np.unique(clusters)
    size = len(names)
    second = np.zeros(len(totals), dtype=bool) if paired is None else paired
    conditions = [~second] if paired is None else [~second, second]
    signs = [1] if paired is None else [-1, 1]

    def mean_and_residuals(drawn):
        """The number on the drawn images, and each image's share in its error."""
        number, residuals = 0.0, np.zeros(len(drawn))
        for sign, rows in zip(signs, conditions, strict=True):
            parts = [
                (totals[rows & (clusters == names[k])].sum(), counts[rows & (clusters == names[k])])
                for k in drawn
            ]
            above, below = sum(t for t, _ in parts), sum(c.sum() for _, c in parts)
            number += sign * above / below
            residuals += [sign * (t - above / below * c.sum()) / below for t, c in parts]
        return number, residuals

    estimate, _ = mean_and_residuals(range(size))
    without = [mean_and_residuals([j for j in range(size) if j != k])[0] for k in range(size)]
    # The jackknife's, less the factor K / (K - 1) that a draw's own error has not either.
    error = np.sqrt(np.square(without - np.mean(without)).sum()) * (size - 1) / size
    ratios = []
    for drawn in np.random.default_rng(seed).integers(size, size=(draws, size), dtype=np.int32):
        number, residuals = mean_and_residuals(drawn)
        ratios.append((number - estimate) / np.sqrt(np.square(residuals).sum()))
    ratios = np.sort(ratios)
    low, high = ratios[int(np.ceil(0.025 * draws)) - 1], ratios[int(np.ceil(0.975 * draws)) - 1]
    # Never narrower than Student's.
    least = student.ppf(0.975, size - 1) * np.sqrt(size / (size - 1))
    return estimate, estimate - max(high, least) * error, estimate - min(low, -least) * error


@pytest.mark.parametrize("block", [means._BLOCK, 80])
@pytest.mark.parametrize("is_paired", [False, True])
def test_equal_to_a_naive_loop(data, is_paired, block, monkeypatch):
    monkeypatch.setattr(means, "_BLOCK", block)
    if not is_paired:
        del data["paired"]
    found = mean_interval(**data, draws=DRAWS)
    estimate, low, high = naive(**data)
    assert found.estimate == pytest.approx(estimate)
    # But for the single precision in which draws are added up.
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4 * (high - low))


def test_ends_are_clipped_to_the_range():
    values = [0.0, 0.0, 0.0, 0.0, 0.0, 0.3]
    free = mean_interval(values, np.ones(6), np.arange(6))
    found = mean_interval(values, np.ones(6), np.arange(6), within=(0.0, 0.1))
    assert free.low < 0 and free.high > 0.1
    assert (found.estimate, found.low, found.high) == (free.estimate, 0.0, 0.1)


def test_there_is_none_where_images_say_nothing():
    def found(values, counts=None, clusters=None, **more):
        clusters = np.arange(len(values)) if clusters is None else clusters
        return mean_interval(values, np.ones(len(values)) if counts is None else counts, clusters)

    assert found([1.0, 2.0, 3.0, 4.0]) is None
    assert found([1.0, 2.0, 3.0, 4.0, 5.0]) is not None
    assert found([1.0] * 9, clusters=list("aabbccdde")[:9]) is None
    assert found([0.3] * 20) is None
    assert found([0.0] * 20) is None
    # An image whose rows stand for no number is none, nor is there one of which one is all.
    assert found([1.0, 2.0, 3.0, 4.0, 0.0], counts=[1, 1, 1, 1, 0]) is None
    assert found([300.0, 0.1, 0.9, 0.5, 0.2, 0.7], counts=[1000, 1, 1, 1, 1, 1]) is None
    assert mean_interval([1.0] * 6, [1] * 6, range(6), paired=[1] * 6) is None


def test_a_draw_whose_images_agree_does_not_make_an_infinite_interval():
    # One image of six differs: a third of all draws are without it.
    found = mean_interval([0.0] * 5 + [1.0], np.ones(6), np.arange(6))
    assert np.isfinite([found.low, found.high]).all()
    assert found.low < found.estimate < found.high


def test_kept_weights_are_those_of_their_own_seed_draws_and_images(data):
    def ends(seed, draws, clusters):
        # So skewed that both quantiles are the draws' own.
        return mean_interval(data["totals"] ** 3, data["counts"], clusters, draws=draws, seed=seed)

    some = [(0, 90, data["clusters"]), (1, 90, data["clusters"]), (0, 140, data["clusters"])]
    found = [ends(*each) for each in [*some, (0, 90, np.arange(300)), *some]]
    assert found[:3] == found[4:]
    assert len({(each.low, each.high) for each in found}) == 4


def test_draws_whose_images_agree_are_told_from_rounding():
    # Most draws of these take the same numbers; of float32 some have a variance of 1e-8.
    values = np.array([0.0, 0.0, 0.0, 1.0, -1.0])
    still, moved = (
        mean_interval(v, np.ones(5), np.arange(5)) for v in (values, 0.01171875 * values + 1)
    )
    assert moved.low - 1 == pytest.approx(0.01171875 * still.low)
    assert moved.high - 1 == pytest.approx(0.01171875 * still.high)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize("images", [5, 10, 30])
def test_never_narrower_than_the_t_interval_of_scipy(images, level):
    rng = np.random.default_rng(images)
    for values in rng.standard_normal((20, images)):
        found = mean_interval(values, np.ones(images), np.arange(images), draws=200, level=level)
        error = values.std(ddof=1) / np.sqrt(images)
        least = student.interval(level, images - 1, values.mean(), error)
        assert found.low <= least[0] + 1e-12 and found.high >= least[1] - 1e-12


NUMBERS = st.floats(-9.0, 9.0).map(lambda number: round(number, 2))


@given(st.lists(st.tuples(NUMBERS, st.integers(1, 3), st.booleans()), min_size=12, max_size=60))
def test_p_is_under_5_percent_exactly_where_the_interval_excludes_0(rows):
    totals, counts, second = (np.array(column) for column in zip(*rows, strict=True))
    clusters = np.arange(len(rows)) // 2
    for paired in (None, second):
        interval = mean_interval(totals, counts, clusters, paired=paired)
        p = mean_p(totals, counts, clusters, paired=paired)
        if interval is None or one_image_decides(interval.influence):
            assert p is None
        else:
            assert (p < 0.05) == interval.excludes_zero


@pytest.mark.parametrize("level", [0.9, 0.99, 0.9999])
@pytest.mark.parametrize("shape", ["normal", "uniform"])
def test_p_is_the_level_of_the_interval_that_ends_at_0(level, shape):
    rng = np.random.default_rng(1)
    values = getattr(rng, shape)(size=400)
    count, image = np.ones(400), np.arange(400)
    found = mean_interval(values, count, image, level=level)
    for end in (found.low, found.high):
        # A little beyond 0, and a little short of it.
        below, above = (mean_p(values - end * by, count, image) for by in (0.9999, 1.0001))
        assert min(below, above) <= (1 - level) * 1.02 and max(below, above) >= (1 - level) * 0.98


def test_tails_of_2000_draws_are_those_of_many(data):
    few, many = (
        mean_interval(**data, level=0.9999, draws=draws, seed=seed)
        for draws, seed in ((2000, 0), (200_000, 1))
    )
    reach = many.high - many.low
    assert (few.low, few.high) == pytest.approx((many.low, many.high), abs=0.15 * reach)


def test_influence_is_the_largest_share_of_the_jackknifes_variance(data):
    found = mean_interval(**data)
    names = np.unique(data["clusters"])

    def number(kept):
        sides = [kept & ~data["paired"], kept & data["paired"]]
        first, second = (data["totals"][s].sum() / data["counts"][s].sum() for s in sides)
        return second - first

    without = np.array([number(data["clusters"] != name) for name in names])
    squares = (without - without.mean()) ** 2
    assert found.influence == pytest.approx(squares.max() / squares.sum())
    lone = mean_interval([0.0] * 29 + [9.0], np.ones(30), np.arange(30))
    assert lone.influence > 0.9 and not replace(lone, low=1.0, high=2.0).excludes_zero


@pytest.mark.parametrize("influence", [0.02, 0.05, 0.1, 0.25])
def test_the_less_one_image_carries_the_smaller_p_may_be(influence):
    z = stats.norm.isf(smallest_alpha(influence) / 2)
    assert influence == pytest.approx(0.3 * (stats.norm.isf(0.025) / z) ** 2.5)


def test_p_is_at_least_what_its_most_influential_image_allows():
    rng = np.random.default_rng(0)
    values = 50.0 + rng.standard_normal(40)
    found = mean_interval(values, np.ones(40), np.arange(40))
    assert 0.05 < found.influence < 0.3
    assert mean_p(values, np.ones(40), np.arange(40)) == smallest_alpha(found.influence) > 1e-6
