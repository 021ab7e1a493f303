import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from vlm_confidence_tasks.metrics import visual_entropy

counts = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)


@given(st.lists(counts, min_size=1))
def test_visual_entropy_equals_scipy(rows):
    found = visual_entropy(rows)
    assert found == pytest.approx(entropy(rows, axis=1))
    # The order of answers leaves no trace, and where all agree there is no rounding.
    assert (visual_entropy(np.array(rows)[:, ::-1]) == found).all()
    assert ((found == 0) == (np.count_nonzero(rows, axis=1) == 1)).all()
