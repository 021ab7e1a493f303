"""Tests by image against enumeration, scipy and the normal formula; Holm's by his steps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vlm_confidence_tasks.metrics import holm, sign_flip_p, wilcoxon_p

rows = st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 7)), min_size=1, max_size=20)


def sums_of(differences, clusters):
    differences, clusters = np.asarray(differences, dtype=float), np.asarray(clusters)
    return np.array([differences[clusters == name].sum() for name in np.unique(clusters)])


@given(rows)
def test_few_images_are_enumerated(pairs):
    differences, clusters = zip(*pairs, strict=True)
    sums = sums_of(differences, clusters)
    found = sign_flip_p(differences, clusters)
    if not sums.any():
        assert found is None
        return
    flipped = [abs(np.dot(signs, sums)) for signs in itertools.product([1, -1], repeat=len(sums))]
    assert found == pytest.approx(np.mean([each >= abs(sums.sum()) for each in flipped]))


def test_drawn_flips_equal_enumerated_ones():
    rng = np.random.default_rng(1)
    for _ in range(5):
        values = rng.normal(0.2, 1, 17)
        totals = np.zeros(1)
        for value in values:
            totals = np.concatenate([totals + value, totals - value])
        exact = np.mean(np.abs(totals) >= abs(values.sum()) - 1e-9)
        error = np.sqrt(exact * (1 - exact) / 10_000)
        assert sign_flip_p(values, np.arange(17)) == pytest.approx(exact, abs=4 * error + 2e-4)


def test_it_is_never_0_and_seldom_1():
    assert sign_flip_p(np.ones(100), np.arange(100)) == pytest.approx(1 / 10_001)
    assert sign_flip_p(np.ones(100), np.arange(100), flips=99) == pytest.approx(1 / 100)
    assert sign_flip_p(np.ones(10), np.arange(10)) == 2 / 2**10
    assert sign_flip_p([1.0, 1.0], ["a", "a"]) == 1


@settings(max_examples=30)
@given(st.sampled_from([5, 40]), st.randoms(), st.floats(0.01, 100))
def test_order_unit_and_still_images_do_not_matter(images, random, factor):
    rng = np.random.default_rng(random.randrange(1000))
    differences, clusters = rng.normal(0.2, 1, 4 * images), np.arange(4 * images) % images
    p = sign_flip_p(differences, clusters)
    order = rng.permutation(differences.size)
    assert sign_flip_p(differences[order], clusters[order]) == p
    assert sign_flip_p(factor * differences, clusters) == p
    still = [*differences, 0.0, 1.5, -1.5], [*clusters, -1, -2, -2]
    assert sign_flip_p(*still) == p
    assert sign_flip_p(-differences, clusters) == pytest.approx(p, abs=0.02)


def test_the_test_of_the_mean_follows_the_mean_and_not_the_ranks():
    # Four of five images fall a little, and one rises much: the mean is positive.
    rng = np.random.default_rng(4)
    values = np.where(np.arange(100) % 5, -0.1, 0.6) + rng.normal(0, 0.01, 100)
    assert values.mean() > 0
    assert sign_flip_p(values, np.arange(100)) > 0.05
    assert wilcoxon_p(values, np.arange(100)) < 0.05


def test_no_differences_have_no_p():
    for p in (sign_flip_p, wilcoxon_p):
        assert p([], []) is None
        assert p([0.0, 0.0], ["a", "b"]) is None
        # Those of an image cancel out; 0.1 + 0.2 - 0.3 is 5.6e-17 in floating point.
        assert p([0.1, 0.2, -0.3] * 12, np.repeat(np.arange(12), 3)) is None
        assert p([0.5], ["a"]) == 1


def test_wilcoxon_is_scipys_on_the_means_of_images():
    rng = np.random.default_rng(5)
    weights, clusters = rng.integers(1, 5, 120), np.arange(120) % 30
    totals = rng.normal(0.2, 1, 120) * weights
    means = sums_of(totals, clusters) / sums_of(weights, clusters)
    expected = stats.wilcoxon(means, method="exact").pvalue
    assert wilcoxon_p(totals, clusters, weights) == pytest.approx(expected)
    # Images' means, not their sums.
    assert stats.wilcoxon(sums_of(totals, clusters)).pvalue != pytest.approx(expected)


def normal_formula(differences):
    """Two-sided p by average ranks and the variance less its part for ties."""
    moved = np.array([d for d in differences if d != 0])
    size = np.abs(moved)
    ranks = np.array([(size < s).sum() + ((size == s).sum() + 1) / 2 for s in size])
    n, ties = moved.size, np.unique(size, return_counts=True)[1]
    variance = n * (n + 1) * (2 * n + 1) / 24 - (ties**3 - ties).sum() / 48
    z = (ranks[moved > 0].sum() - n * (n + 1) / 4) / np.sqrt(variance)
    return 2 * stats.norm.sf(abs(z))


@pytest.mark.parametrize("images", [51, 400])
def test_wilcoxon_of_more_than_fifty_equals_the_normal_formula(images):
    differences = np.random.default_rng(images).normal(0.2, 1, images)
    found = wilcoxon_p(differences, range(images))
    assert found == pytest.approx(normal_formula(differences))


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=40))
def test_wilcoxon_with_ties_equals_the_normal_formula(differences):
    moved = [abs(d) for d in differences if d]
    found = wilcoxon_p(differences, range(len(differences)))
    if not moved:
        assert found is None
    elif len(set(moved)) < len(moved):
        assert found == pytest.approx(normal_formula(differences))
    else:
        exact = stats.wilcoxon([d for d in differences if d], method="exact").pvalue
        assert found == pytest.approx(exact)


probabilities = st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.3, 0.9, 1.0]), max_size=8)


@given(probabilities, st.sampled_from([0.011, 0.049, 0.11, 0.31, 0.99]))
def test_holm_rejects_what_his_steps_reject(p, level):
    adjusted = holm(p)
    rejected = []
    for step, k in enumerate(sorted(range(len(p)), key=lambda k: p[k])):
        if p[k] > level / (len(p) - step):
            break
        rejected.append(k)
    assert sorted(rejected) == [k for k, each in enumerate(adjusted) if each <= level]
    assert all(raw <= each <= 1 for raw, each in zip(p, adjusted, strict=True))


def test_holm_by_hand():
    # 4 x .01; 3 x .02; 2 x .04 twice, for the largest so far counts.
    assert holm([0.04, 0.01, 0.05, 0.02]) == pytest.approx([0.08, 0.04, 0.08, 0.06])
    assert holm([]) == []
