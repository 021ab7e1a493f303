"""Ratios of sums are means, and ratios of counts rates."""

from __future__ import annotations

import numpy as np
import pytest

from vlm_confidence_tasks.metrics import mean_interval, rate_interval
from vlm_confidence_tasks.metrics.statistics.ratios import CountRatio, SumRatio, ratio_interval

from ..everything import agree, sums, table


def test_a_ratio_of_sums_has_the_interval_of_a_mean():
    def columns(samples):
        entropy, logprob, _, images = sums(
            samples, lambda r, clean: r.entropy, lambda r, clean: -r.logprob
        )
        return [entropy, logprob, images]

    agree(SumRatio(lambda a: a.entropy, lambda a: -a.logprob), columns, mean_interval)


@pytest.mark.parametrize(
    ("weights", "above", "below"),
    [
        ((1, 1, 1, 0), (1, 0, 0), (1, 1, 0)),
        ((1, 1, 0, 1), (1, 0, 0), (1, 0, 1)),
        ((2, 2, 1, 1), (2, 0, 0), (2, 1, 1)),
    ],
)
def test_a_ratio_of_counts_has_the_interval_of_a_rate(weights, above, below):
    def columns(samples):
        counts = []
        for sample in samples:
            said = [r.answer == "Yes" for r in sample.variants if not r.control]
            yes = sample.gold == "Yes"
            hits, claims = sum(said) * yes, sum(said)
            counts.append((hits, claims - hits, len(said) * yes - hits))
        counts, images = np.array(counts), np.array([sample.image_id for sample in samples])
        return [counts @ above, counts @ below, images]

    statistic = CountRatio(lambda a: a.gold_positive, lambda a: a.said_positive, weights)
    agree(statistic, columns, rate_interval)


def test_nothing_is_divided_by_0():
    view = table().perturbed
    zero, one = (lambda a: np.zeros(len(a))), (lambda a: np.ones(len(a)))
    assert SumRatio(one, zero).value(view) is SumRatio(one, zero).interval(view) is None
    ratio = CountRatio(zero, zero, (2, 2, 1, 1))
    assert ratio.value(view) is ratio.interval(view) is None
    # Positives exist, and none was found.
    assert CountRatio(one, zero, (2, 2, 1, 1)).value(view) == 0


def test_a_document_whose_denominator_is_0_counts_with_its_numerator():
    above, below, image = np.arange(1.0, 41.0), np.arange(40.0) % 4, np.arange(40)
    found, near = (ratio_interval(above, each, image) for each in (below, below + 1e-12))
    assert found.estimate == pytest.approx(above.sum() / below.sum())
    assert (found.low, found.high) == pytest.approx((near.low, near.high), rel=1e-6)
