import itertools

import numpy as np
import pytest
from scipy.stats import norm

from vlm_confidence_tasks.metrics import entropy_drop_rate, wilcoxon_p


def test_drop_rate_counts_falls_alone():
    assert entropy_drop_rate([-1, -0.5, 0, 2]) == 0.5
    assert entropy_drop_rate([0.0]) == 0
    with pytest.raises(ValueError, match="nan"):
        entropy_drop_rate([float("nan")])
    with pytest.raises(ValueError, match="shape"):
        entropy_drop_rate([])


def test_wilcoxon_small_equals_all_sign_patterns():
    differences = np.array([0.3, -0.1, 0.75, 1.5, -0.2, 0.9, 2.25])
    ranks = np.argsort(np.argsort(abs(differences))) + 1
    centre = ranks.sum() / 2
    observed = abs(ranks[differences > 0].sum() - centre)
    drawn = [
        abs(ranks[np.array(signs)].sum() - centre)
        for signs in itertools.product([False, True], repeat=7)
    ]
    expected = np.mean([value >= observed for value in drawn])
    assert wilcoxon_p(differences) == pytest.approx(expected)


def test_wilcoxon_large_equals_the_normal_formula():
    differences = np.random.default_rng(0).normal(0.05, 1, 1000)
    ranks = np.argsort(np.argsort(abs(differences))) + 1
    n = 1000
    z = (ranks[differences > 0].sum() - n * (n + 1) / 4) / np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    assert wilcoxon_p(differences) == pytest.approx(2 * norm.sf(abs(z)))


def test_wilcoxon_ignores_zeros_order_and_sign():
    differences = np.random.default_rng(1).normal(0.3, 1, 40)
    p = wilcoxon_p(differences)
    assert wilcoxon_p([*differences, 0.0, 0.0]) == p
    assert wilcoxon_p(differences[::-1]) == p
    assert wilcoxon_p(-differences) == pytest.approx(p)


def test_wilcoxon_is_absent_without_differences():
    assert wilcoxon_p([]) is None
    assert wilcoxon_p([0.0, 0.0]) is None
    assert wilcoxon_p([0.5]) == 1
    with pytest.raises(ValueError, match="inf"):
        wilcoxon_p([float("inf")])
