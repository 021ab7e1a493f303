"""Korn and Graubard's interval by hand, and differences by MOVER."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from vlm_confidence_tasks.metrics import rate_interval


def exact(successes, trials, level=0.95):
    """The binomial ends: where 2.5% are as extreme; trials need not be whole numbers."""
    end = (1 + level) / 2
    low = stats.beta(successes, trials - successes + 1).ppf(1 - end) if successes > 0 else 0.0
    high = stats.beta(successes + 1, trials - successes).ppf(end) if successes < trials else 1.0
    return low, high


def shrink(images, level=0.95):
    """(z / t)^2."""
    return (stats.norm.ppf((1 + level) / 2) / stats.t.ppf((1 + level) / 2, images - 1)) ** 2


def by_hand(hits, counts, clusters, level=0.95):
    """Rate, ends, and the rate without each image minus the rate."""
    hits, counts = (np.asarray(column, dtype=float) for column in (hits, counts))
    hits, counts = (c if c.ndim == 2 else c[:, None] for c in (hits, counts))
    names = np.unique(clusters)

    def rate(rows):
        return np.mean(hits[rows].sum(axis=0) / counts[rows].sum(axis=0))

    everything = np.ones(len(hits), dtype=bool)
    p = rate(everything)
    moved = np.array([rate(np.asarray(clusters) != name) - p for name in names])
    images = len(names)
    variance = (images - 1) / images * np.square(moved).sum()
    effective = min(len(hits), p * (1 - p) / variance) if variance > 0 else len(hits)
    on = [hits[np.asarray(clusters) == name].sum() for name in names]
    off = [(counts - hits)[np.asarray(clusters) == name].sum() for name in names]
    if min(np.count_nonzero(on), np.count_nonzero(off)) < min(15, images / 2):
        effective = min(effective, images)
    sizes = [counts[np.asarray(clusters) == name].sum() for name in names]
    effective *= shrink(np.sum(sizes) ** 2 / np.square(sizes).sum(), level)
    return p, *exact(p * effective, effective, level), moved


def ends(interval):
    return interval.estimate, interval.low, interval.high


@pytest.fixture
def data():
    """150 rows about 40 images, each of one to four answers that may be an event."""
    rng = np.random.default_rng(0)
    clusters = np.concatenate([np.arange(40), rng.integers(0, 40, 110)])
    counts = rng.integers(1, 5, 150)
    return rng.binomial(counts, rng.beta(1, 2, 40)[clusters]), counts, clusters


def test_the_ends_are_clopper_and_pearsons():
    low, high = exact(3, 20)
    expected = stats.binomtest(3, 20).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((expected.low, expected.high))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 9)), max_size=30),
    st.integers(0, 3),
)
def test_any_rate_is_as_by_hand_and_never_of_width_0(rows, common):
    rows = [*rows, *((common, 3 - common, k) for k in range(10, 16))]
    assume(any(a + b for a, b, _ in rows))
    hits = np.array([a for a, _, _ in rows])
    counts = np.array([a + b for a, b, _ in rows])
    shown = counts > 0
    clusters = np.array([k for *_, k in rows])
    found = rate_interval(hits, counts, clusters)
    sizes = np.bincount(clusters, counts)
    images = np.count_nonzero(sizes)
    least = 0.3 * images + 5 if images >= 25 else images / 2
    if 2 * sizes.max() > sizes.sum() or (sizes @ sizes) * (least - 1e-9) > sizes.sum() ** 2:
        assert found is None
        return
    assert ends(found) == pytest.approx(by_hand(hits[shown], counts[shown], clusters[shown])[:3])
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.high - found.low > 0.01
    other = rate_interval(counts - hits, counts, clusters)
    mirrored = 1 - other.estimate, 1 - other.high, 1 - other.low
    assert ends(found) == pytest.approx(mirrored, abs=1e-9)


def test_the_mean_of_rates_is_as_by_hand(data):
    rng = np.random.default_rng(2)
    hits, counts, clusters = data
    both = np.column_stack([counts, rng.integers(0, 3, 150), np.full(150, 2)])
    events = np.column_stack([hits, rng.binomial(both[:, 1], 0.9), rng.binomial(2, 0.1, 150)])
    for level in (0.8, 0.95, 0.999):
        found = rate_interval(events, both, clusters, level=level)
        assert ends(found) == pytest.approx(by_hand(events, both, clusters, level)[:3])
    shares = events.sum(axis=0) / both.sum(axis=0)
    assert found.estimate == pytest.approx(shares.mean())


def paired_columns(first, second, clusters):
    return {
        "hits": np.concatenate([first[0], second[0]]),
        "counts": np.concatenate([first[1], second[1]]),
        "clusters": np.tile(clusters, 2),
        "paired": np.repeat([False, True], len(clusters)),
    }


def test_a_difference_is_that_of_zou_and_donner(data):
    hits, counts, clusters = data
    rng = np.random.default_rng(3)
    other = np.minimum(counts, hits + rng.integers(0, 2, 150))
    p1, low1, high1, moved1 = by_hand(hits, counts, clusters)
    p2, low2, high2, moved2 = by_hand(other, counts, clusters)
    r = moved1 @ moved2 / np.sqrt((moved1 @ moved1) * (moved2 @ moved2))
    assert 0.3 < r < 1
    low = (
        p2 - p1 - np.sqrt((p2 - low2) ** 2 + (high1 - p1) ** 2 - 2 * r * (p2 - low2) * (high1 - p1))
    )
    high = (
        p2 - p1 + np.sqrt((high2 - p2) ** 2 + (p1 - low1) ** 2 - 2 * r * (high2 - p2) * (p1 - low1))
    )
    found = rate_interval(**paired_columns((hits, counts), (other, counts), clusters))
    assert ends(found) == pytest.approx((p2 - p1, low, high))


def test_there_is_none_without_a_rate_or_with_few_images():
    assert rate_interval([1] * 4, [1] * 4, range(4)) is None
    assert rate_interval([1] * 5, [1] * 5, range(5)) is not None
    assert rate_interval([1] * 4 + [0], [1] * 4 + [0], range(5)) is None
    assert rate_interval([0] * 9, [0] * 9, range(9)) is None
    # One of two rates does not exist.
    assert rate_interval([[1, 0]] * 6, [[1, 0]] * 6, range(6)) is None
    assert rate_interval([1] * 6, [1] * 6, range(6), paired=[1] * 6) is None


def test_two_equal_runs_have_a_difference_of_some_width():
    # At a rate of a half both sides are symmetric, so that a correlation of 1 cancels them.
    hits, image = np.tile([1, 0], 20), np.arange(40)
    found = rate_interval(
        np.tile(hits, 2), np.ones(80), np.tile(image, 2), paired=np.repeat([False, True], 40)
    )
    assert found.estimate == 0
    assert found.low == pytest.approx(-found.high)
    assert 0.02 < found.high < rate_interval(hits, np.ones(40), image).high - 0.5
