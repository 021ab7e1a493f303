"""Pearson's correlation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from vlm_confidence_tasks.metrics import pearson

columns = st.lists(st.tuples(*[st.integers(-9, 9)] * 2), min_size=3, max_size=30)


def test_by_hand():
    # Deviations (-1, 0, 1) and (-1, 1, 0): 1 / 2.
    assert pearson([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)
    assert pearson([1, 2], [5, 5]) is None


@given(columns)
def test_it_is_scipys(pairs):
    x, y = zip(*pairs, strict=True)
    found = pearson(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(pearsonr(x, y).statistic, abs=1e-12)


def test_bad_columns_raise():
    with pytest.raises(ValueError, match="different lengths"):
        pearson([1.0, 2.0], [1.0])
