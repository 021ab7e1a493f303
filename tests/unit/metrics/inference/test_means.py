"""The studentized bootstrap against a loop over draws, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from vlm_confidence_tasks.metrics import mean_interval
from vlm_confidence_tasks.metrics.inference import means

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
