"""Pearson's and Spearman's correlations against scipy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from vlm_confidence_tasks.metrics import pearson, spearman

columns = st.lists(st.tuples(*[st.integers(-9, 9)] * 2), min_size=3, max_size=30)


BOTH = pytest.mark.parametrize(("ours", "theirs"), [(pearson, pearsonr), (spearman, spearmanr)])


@BOTH
@given(pairs=columns)
def test_it_is_scipys(ours, theirs, pairs):
    x, y = zip(*pairs, strict=True)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert ours(x, y) is None
    else:
        assert ours(x, y) == pytest.approx(theirs(x, y).statistic, abs=1e-12)


@BOTH
def test_of_one_pair_there_is_none(ours, theirs):
    assert ours([1], [2]) is None
