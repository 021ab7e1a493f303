"""A test by inverting an interval against formulas, and on the same side of 5% as the interval."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vlm_confidence_tasks.metrics import Interval, mean_interval, mean_p, rate_interval
from vlm_confidence_tasks.metrics.inference.inverted import equivalence_p, inverted_p


def normal(z, level, influence=None):
    reach = stats.norm.isf((1 - level) / 2)
    return Interval(z, z - reach, z + reach, influence)


@given(st.floats(-6.0, 6.0))
def test_of_normal_intervals_it_is_the_normal_p(z):
    assert inverted_p(partial(normal, z)) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=5e-3)


def test_there_is_none_without_an_interval_or_where_one_image_decides():
    assert inverted_p(lambda level: None) is None
    assert inverted_p(lambda level: normal(3.0, level, 0.31)) is None
    assert inverted_p(lambda level: normal(9.0, level, 0.3)) == pytest.approx(0.05)


@given(st.lists(st.integers(-1, 1), min_size=10, max_size=80))
def test_it_is_under_5_percent_exactly_where_the_interval_excludes_0(moves):
    before = np.arange(len(moves)) % 2
    after = np.clip(before + np.array(moves), 0, 1)
    at = partial(
        rate_interval,
        np.concatenate([before, after]),
        np.ones(2 * len(moves)),
        np.tile(np.arange(len(moves)), 2),
        paired=np.repeat([False, True], len(moves)),
    )
    assert (inverted_p(lambda level: at(level=level)) < 0.05) == at().excludes_zero


@pytest.mark.parametrize("mean", [0.0, 0.1, 0.2, 0.4])
def test_of_means_it_is_their_own(mean):
    values = mean + np.random.default_rng(0).standard_normal(100)
    columns = (values, np.ones(100), np.arange(100))
    found = inverted_p(lambda level: mean_interval(*columns, level=level))
    assert found == pytest.approx(mean_p(*columns), rel=0.02)


@given(st.floats(-4.0, 4.0), st.floats(0.1, 8.0))
def test_of_normal_intervals_equivalence_is_by_the_end_that_is_nearer_to_its_bound(z, bound):
    expected = min(1.0, 2 * stats.norm.sf(bound - abs(z)))
    found = equivalence_p(partial(normal, z), bound)
    assert found == pytest.approx(expected, rel=5e-3)
    interval = normal(z, 0.95)
    assert (found < 0.05) == (-bound < interval.low and interval.high < bound)


def test_no_equivalence_without_an_interval_or_where_one_image_decides():
    assert equivalence_p(lambda level: None, 1.0) is None
    assert equivalence_p(lambda level: normal(0.0, level, 0.31), 9.0) is None
    assert equivalence_p(lambda level: normal(0.0, level, 0.3), 9.0) == pytest.approx(0.05)
