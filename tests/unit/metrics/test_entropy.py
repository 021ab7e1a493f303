import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy, norm

from vlm_confidence_tasks.metrics import visual_entropy, wilcoxon_p

answer = st.sampled_from(["Yes", "No", None])


@given(st.lists(answer, min_size=1, max_size=30))
def test_visual_entropy_equals_scipy(answers):
    counts = [answers.count(label) for label in ("Yes", "No", None)]
    assert visual_entropy(answers) == pytest.approx(entropy(counts))
    assert visual_entropy(answers[::-1]) == visual_entropy(answers)
    assert visual_entropy(answers * 2) == pytest.approx(visual_entropy(answers))
    assert (visual_entropy(answers) == 0) == (len(set(answers)) == 1)


def test_the_entropy_of_no_answers_raises():
    with pytest.raises(ValueError, match="empty"):
        visual_entropy([])


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
