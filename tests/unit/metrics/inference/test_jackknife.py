"""The grouped jackknife against leaving one image out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vlm_confidence_tasks.metrics import auroc, jackknife_interval, pearson
from vlm_confidence_tasks.metrics.functional.ranking import auroc_of_ranks
from vlm_confidence_tasks.metrics.inference.jackknife import ranking_interval


@pytest.fixture
def data():
    """Two correlated columns of 120 rows about 30 images."""
    rng = np.random.default_rng(0)
    clusters = np.concatenate([np.arange(30), rng.integers(0, 30, 90)])
    one = rng.normal(size=30)[clusters] + rng.normal(size=120)
    return one, one + rng.normal(size=120), clusters


def by_hand(measure, clusters, onto=np.asarray, back=np.asarray):
    """Leave each image out: estimate, low, high."""
    names = np.unique(clusters)
    every = np.arange(len(clusters))
    without = [onto(measure(every[clusters != name])) for name in names]
    centre, k = onto(measure(every)), len(names)
    error = np.sqrt((k - 1) / k * np.square(without - np.mean(without)).sum())
    reach = stats.t.ppf(0.975, k - 1) * error
    return measure(every), float(back(centre - reach)), float(back(centre + reach))


def ends(interval):
    return interval.estimate, interval.low, interval.high


def test_of_a_mean_it_is_students_interval():
    values = np.random.default_rng(1).exponential(size=25)
    found = jackknife_interval(lambda rows: values[rows].mean(), np.arange(25))
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert ends(found) == pytest.approx((values.mean(), expected.low, expected.high))


@pytest.mark.parametrize(
    ("scale", "onto", "back"),
    [
        ("fisher", np.arctanh, np.tanh),
        ("logit", lambda p: np.log(p / (1 - p)), lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_a_number_on_a_scale(data, scale, onto, back):
    one, other, clusters = data

    def measure(rows):
        of = pearson(one[rows], other[rows])
        return of if scale == "fisher" else auroc(one[rows], other[rows] > 0)

    found = jackknife_interval(measure, clusters, scale=scale)
    assert ends(found) == pytest.approx(by_hand(measure, clusters, onto, back))


def test_a_difference_of_two_conditions(data):
    one, other, clusters = data
    second = np.random.default_rng(2).random(120) < 0.5

    def measure(rows):
        first, last = rows[~second[rows]], rows[second[rows]]
        return pearson(one[last], other[last]) - pearson(one[first], other[first])

    found = jackknife_interval(
        lambda rows: pearson(one[rows], other[rows]), clusters, paired=second, scale="fisher"
    )
    # A difference leaves the scale of a correlation: on its own.
    assert ends(found) == pytest.approx(by_hand(measure, clusters))


def test_many_images_are_left_out_in_forty_groups():
    values = np.random.default_rng(4).normal(size=400)
    calls = []

    def measure(rows):
        calls.append(rows.size)
        return values[rows].mean()

    found = jackknife_interval(measure, np.arange(400))
    assert sorted(calls) == [390] * 40 + [400]
    half = 1.96 * values.std() / 20
    assert found.high - found.estimate == pytest.approx(half, rel=0.3)
    assert found.high - found.estimate == pytest.approx(found.estimate - found.low)


@pytest.mark.filterwarnings("error")
def test_there_is_none_where_it_is_undefined():
    values = np.arange(6.0)

    def mean(rows):
        return values[rows].mean()

    assert jackknife_interval(mean, range(6)) is not None
    assert jackknife_interval(lambda rows: None, range(6)) is None
    # Defined on all rows, and not without the image that holds the only positive.
    single = jackknife_interval(lambda rows: auroc(values[rows], values[rows] == 3), range(6))
    assert single is None
    assert jackknife_interval(mean, [0, 1, 2, 3, 0, 1]) is None
    assert jackknife_interval(mean, range(6), paired=[1] * 6) is None
    assert jackknife_interval(lambda rows: 0.5, range(6)) is None
    # At an end of a scale nothing is known of how far it may be off.
    assert jackknife_interval(lambda rows: 1.0, range(6), scale="fisher") is None
    assert jackknife_interval(lambda rows: float(0 in rows), range(6), scale="logit") is None


@pytest.mark.parametrize(("scale", "most"), [("logit", 1.0), ("fisher", 2.0)])
def test_a_difference_stays_in_its_range(scale, most):
    values = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    found = jackknife_interval(
        lambda rows: values[rows].mean(),
        np.tile(np.arange(6), 2),
        paired=np.repeat([False, True], 6),
        scale=scale,
    )
    wide = jackknife_interval(
        lambda rows: values[rows].mean(),
        np.tile(np.arange(6), 2),
        paired=np.repeat([False, True], 6),
    )
    assert found.low == max(wide.low, -most)
    assert found.high == min(wide.high, most)
    assert most == 2.0 or wide.high > 1.0


@pytest.mark.parametrize(("wrong", "found"), [(4, False), (5, True)])
def test_a_ranking_needs_right_and_wrong_answers_on_five_images(wrong, found):
    rng = np.random.default_rng(5)
    correct = (np.arange(40) >= wrong).astype(float)
    confidence = rng.random(40) * 0.5 + 0.3 * correct
    each = ranking_interval(auroc_of_ranks, confidence, correct, np.arange(40))
    assert (each is not None) is found
    # Two wrong answers on one image are one.
    images = np.where(np.arange(40) < 2, 0, np.arange(40))
    both = ranking_interval(auroc_of_ranks, confidence, correct, images)
    assert (both is not None) is (wrong == 6)
