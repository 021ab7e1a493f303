"""Drift, control drift and Cohen's d: by hand, as properties, by others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.spatial.distance import cosine, euclidean
from scipy.stats import ttest_rel

from vlm_confidence_tasks.metrics import (
    cohens_d,
    cohens_dz,
    control_drift,
    cosine_drift,
    l2_distance,
)

numbers = st.floats(-1e3, 1e3, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-3)
vectors = arrays.arrays(np.float64, st.integers(1, 8), elements=numbers)
nonzero = vectors.filter(lambda v: v.any())


@given(
    st.integers(1, 8).flatmap(lambda n: st.tuples(*[arrays.arrays(float, n, elements=numbers)] * 2))
)
def test_drift_is_scipys_cosine_distance(pair):
    one, other = pair
    assume(one.any() and other.any())
    assert cosine_drift(one, other) == pytest.approx(cosine(one, other), abs=1e-9)
    assert cosine_drift(one, one) == 0
    assert l2_distance(one, other) == pytest.approx(euclidean(one, other))


def test_a_zero_vector_has_no_drift():
    assert cosine_drift([0, 0], [1, 0]) is None
    assert control_drift([1, 0], [[0, 0], [1, 0]]) is None


def test_small_drifts_are_not_lost_to_rounding():
    # 1 - cos of an angle of 1e-9 is 5e-19: far under the rounding of a cosine near 1.
    assert cosine_drift([1, 0], [1, 1e-9]) == pytest.approx(5e-19)


def test_control_drift_is_the_mean_over_other_images():
    others = [[0, 1], [1, 1], [-1, 0]]
    assert control_drift([1, 0], others) == pytest.approx((1 + 1 - 0.5**0.5 + 2) / 3)
    assert control_drift([1, 0], []) is None


def test_cohens_d_by_hand():
    # Means 2 and 6, variances 2 and 8 with two numbers each: s = sqrt(5).
    assert cohens_d([1, 3], [4, 8]) == pytest.approx(-4 / 5**0.5)
    # Unequal sizes: (1 * 2 + 2 * 1) / 3.
    assert cohens_d([1, 3], [4, 5, 6]) == pytest.approx(-3 / (4 / 3) ** 0.5)
    assert cohens_d([1], [1, 2]) is None
    assert cohens_d([0.1, 0.1, 0.1], [0.3, 0.3, 0.3]) is None


def test_cohens_dz_is_the_paired_t_over_the_root_of_n():
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=(2, 30))
    assert cohens_dz(one, other) == pytest.approx(ttest_rel(one, other).statistic / 30**0.5)
    # What documents have in common has no part in it.
    assert cohens_dz(one + 7, other + 7) == pytest.approx(cohens_dz(one, other))
    assert cohens_dz([1.0], [2.0]) is None
    assert cohens_dz([0.1, 0.2], [0.1, 0.2]) is None
