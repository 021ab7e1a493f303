import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import binary_calibration_error

from vlm_confidence_tasks.metrics import (
    expected_calibration_error,
    maximum_calibration_error,
    reliability_curve,
)
from vlm_confidence_tasks.metrics.functional.calibration import quantile_bins, uniform_bins

# Multiples of 1/60 fall on edges of 15 bins and tie often.
confidences = st.one_of(st.integers(0, 60).map(lambda k: k / 60), st.floats(0, 1))
answers = st.lists(st.tuples(confidences, st.booleans()), min_size=1, max_size=60)

BINNED = [expected_calibration_error, maximum_calibration_error]
ON_ANSWERS = [*BINNED, reliability_curve]


def columns(pairs):
    return np.array([c for c, _ in pairs]), np.array([hit for _, hit in pairs])


def naive_gaps(confidence, correct, n_bins):
    """(count, gap) of each bin (a, b], one answer at a time."""
    bins = {}
    for c, hit in zip(confidence, correct, strict=True):
        number = 0
        while number < n_bins - 1 and c > (number + 1) / n_bins:
            number += 1
        bins.setdefault(number, []).append((c, hit))
    return [
        (len(rows), abs(sum(h for _, h in rows) - sum(c for c, _ in rows)) / len(rows))
        for rows in bins.values()
    ]


@given(answers, st.integers(1, 20))
def test_uniform_bins_equal_a_naive_loop(pairs, n_bins):
    confidence, correct = columns(pairs)
    gaps = naive_gaps(confidence, correct, n_bins)
    ece = sum(n * gap for n, gap in gaps) / len(pairs)
    assert expected_calibration_error(confidence, correct, n_bins) == pytest.approx(ece)
    mce = max(gap for _, gap in gaps)
    assert maximum_calibration_error(confidence, correct, n_bins) == pytest.approx(mce)


def test_agrees_with_torchmetrics_and_sklearn_away_from_edges():
    # torchmetrics 1.x puts a confidence of exactly 1.0 into a bin of its own and has its
    # bins closed on the other side; continuous draws in (0, 1) meet neither. For two
    # classes its "confidence" is the probability of class 1 and its "accuracy" the class.
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.001, 0.999, 5000)
    correct = rng.random(5000) < confidence**2
    for norm, ours in (("l1", BINNED[0]), ("max", BINNED[1])):
        theirs = binary_calibration_error(
            torch.tensor(confidence), torch.tensor(correct.astype(int)), n_bins=15, norm=norm
        )
        assert ours(confidence, correct) == pytest.approx(float(theirs), abs=1e-6)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=15)
    curve = reliability_curve(confidence, correct)
    assert np.allclose(curve.accuracy, accuracy) and np.allclose(curve.confidence, mean)


def test_edges_belong_to_the_bin_below_and_zero_and_one_to_the_outer_bins():
    edges = np.arange(16) / 15
    assert uniform_bins(edges, 15).tolist() == [0, *range(15)]
    above = np.nextafter(edges[:15], 1)
    assert uniform_bins(above, 15).tolist() == list(range(15))


def test_quantile_bins_hold_equal_counts_without_ties():
    confidence = np.random.default_rng(0).permutation(100) / 100
    counts = np.bincount(quantile_bins(confidence, 15))
    assert counts.size == 15 and counts.min() == 6 and counts.max() == 7
    assert quantile_bins(np.array([0.1, 0.9]), 15).tolist() == [3, 11]


def test_quantile_bins_keep_ties_together_and_do_not_swallow_a_lone_value():
    # The edge of two bins lies inside the run of 0.9; the run goes where its middle is.
    assert quantile_bins(np.array([0.5] + [0.9] * 29), 2).tolist() == [0] + [1] * 29
    curve = reliability_curve([0.2, 0.2, 0.2, 0.4], [0, 0, 1, 1], 2, "quantile")
    assert curve.count.tolist() == [3, 1]
    assert curve.low.tolist() == curve.high.tolist() == [0.2, 0.4]


@given(answers, st.integers(1, 20))
def test_quantile_bins_properties(pairs, n_bins):
    confidence, _ = columns(pairs)
    bins = quantile_bins(confidence, n_bins)
    assert 0 <= bins.min() and bins.max() < n_bins
    order = np.argsort(confidence)
    assert np.all(np.diff(bins[order]) >= 0)
    for value in np.unique(confidence):
        assert np.unique(bins[confidence == value]).size == 1
    assert np.array_equal(quantile_bins(np.tile(confidence, 3), n_bins), np.tile(bins, 3))
