import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_confidence_tasks.metrics import (
    Confusion,
    auroc,
    bootstrap_ece_interval,
    bootstrap_interval,
    bootstrap_mean_interval,
    bootstrap_sums_interval,
    expected_calibration_error,
)


@pytest.fixture
def data():
    """300 answers about 40 images of uneven size, on two sides."""
    rng = np.random.default_rng(0)
    confidence = rng.random(300)
    return {
        "confidence": confidence,
        "correct": rng.random(300) < confidence,
        "clusters": rng.choice([f"image {k}" for k in range(40)], 300),
        "paired": rng.random(300) < 0.5,
    }


def same(fast, slow):
    assert fast.draws == slow.draws
    assert (fast.estimate, fast.low, fast.high) == pytest.approx(
        (slow.estimate, slow.low, slow.high), abs=1e-12
    )


@pytest.mark.parametrize("is_paired", [False, True])
def test_fast_mean_equals_the_slow_path(data, is_paired):
    paired = data["paired"] if is_paired else None
    values = data["confidence"]
    slow = bootstrap_interval(
        lambda rows: values[rows].mean(), data["clusters"], paired=paired, draws=300
    )
    same(bootstrap_mean_interval(values, data["clusters"], paired=paired, draws=300), slow)


@pytest.mark.parametrize("is_paired", [False, True])
def test_fast_ece_equals_the_slow_path(data, is_paired):
    paired = data["paired"] if is_paired else None
    confidence, correct = data["confidence"], data["correct"]
    slow = bootstrap_interval(
        lambda rows: expected_calibration_error(confidence[rows], correct[rows]),
        data["clusters"],
        paired=paired,
        draws=300,
    )
    fast = bootstrap_ece_interval(confidence, correct, data["clusters"], paired=paired, draws=300)
    same(fast, slow)


def test_equal_to_a_naive_loop(data):
    names = np.unique(data["clusters"])
    rng = np.random.default_rng(7)
    drawn = rng.integers(40, size=(200, 40), dtype=np.int32)
    means = []
    for draw in drawn:
        rows = [data["confidence"][data["clusters"] == names[k]] for k in draw]
        means.append(np.concatenate(rows).mean())
    found = bootstrap_mean_interval(data["confidence"], data["clusters"], draws=200, seed=7)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_blocks_give_the_draws_of_one_pass(data, monkeypatch):
    whole = bootstrap_mean_interval(data["confidence"], data["clusters"], draws=100)
    monkeypatch.setattr("vlm_confidence_tasks.metrics.functional.bootstrap._BLOCK", 80)
    # Nor do kept counts change them: these are counted anew.
    monkeypatch.setattr("vlm_confidence_tasks.metrics.functional.bootstrap._CACHED_COUNTS", 0)
    same(bootstrap_mean_interval(data["confidence"], data["clusters"], draws=100), whole)


def test_cached_counts_are_those_of_their_own_seed_draws_and_clusters(data):
    def interval(seed, draws, clusters):
        return bootstrap_mean_interval(data["confidence"], clusters, seed=seed, draws=draws)

    some = [(0, 90, data["clusters"]), (1, 90, data["clusters"]), (0, 91, data["clusters"])]
    asked = [*some, (0, 90, np.arange(300)), *some]
    found = [interval(*one) for one in asked]
    assert found[:3] == found[4:]
    assert len({(one.low, one.high) for one in found}) == 4


def test_weights_stand_for_repeated_rows(data):
    weights = np.random.default_rng(1).integers(1, 4, 300)
    fast = bootstrap_mean_interval(data["confidence"], data["clusters"], weights=weights)
    rows = np.repeat(np.arange(300), weights)
    same(fast, bootstrap_mean_interval(data["confidence"][rows], data["clusters"][rows]))


def test_one_row_a_cluster_gives_the_normal_interval():
    values = np.random.default_rng(2).normal(0, 1, 2000)
    found = bootstrap_mean_interval(values, np.arange(2000))
    half = 1.96 * values.std() / np.sqrt(2000)
    expected = (values.mean() - half, values.mean() + half)
    assert (found.low, found.high) == pytest.approx(expected, abs=0.1 * half)


def test_copies_within_a_cluster_do_not_narrow_the_interval():
    values, clusters = np.random.default_rng(3).random(100), np.arange(100)
    once = bootstrap_mean_interval(values, clusters)
    same(bootstrap_mean_interval(np.tile(values, 9), np.tile(clusters, 9)), once)


def test_pairing_removes_what_the_sides_share():
    rng = np.random.default_rng(4)
    image = rng.normal(0, 10, 200)
    values = np.concatenate([image, image + 1])
    clusters, paired = np.tile(np.arange(200), 2), np.repeat([False, True], 200)
    found = bootstrap_mean_interval(values, clusters, paired=paired)
    assert (found.estimate, found.low, found.high) == pytest.approx((1, 1, 1))


def test_a_higher_level_is_wider_and_the_estimate_is_the_data_s(data):
    narrow = bootstrap_mean_interval(data["confidence"], data["clusters"], level=0.5)
    wide = bootstrap_mean_interval(data["confidence"], data["clusters"], level=0.99)
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    assert narrow.estimate == pytest.approx(data["confidence"].mean())


@settings(max_examples=30)
@given(st.randoms())
def test_order_of_rows_does_not_matter(random):
    rows = np.arange(60)
    shuffled = np.array(random.sample(range(60), 60))
    values, clusters = np.sin(rows), rows % 11
    once = bootstrap_mean_interval(values, clusters, draws=50)
    same(bootstrap_mean_interval(values[shuffled], clusters[shuffled], draws=50), once)


def test_f1_from_sums():
    counts = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
    found = bootstrap_sums_interval(lambda s: Confusion(*s).f1, counts, [0, 1, 2, 3])
    assert found.estimate == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))


def test_undefined_draws_are_left_out_and_counted():
    score, positive = np.array([0.1, 0.9]), np.array([False, True])
    found = bootstrap_interval(lambda rows: auroc(score[rows], positive[rows]), [0, 1])
    assert 900 < found.draws < 1100 and found.low == found.high == 1
    assert bootstrap_interval(lambda rows: None, [0, 1]) is None
    one_side = bootstrap_mean_interval([1.0, 2.0], [0, 1], paired=[1, 1])
    assert one_side is None


def test_bad_input_raises():
    with pytest.raises(ValueError, match="draws must be at least 1, got 0"):
        bootstrap_mean_interval([1.0], [0], draws=0)
    with pytest.raises(ValueError, match="got 1.5"):
        bootstrap_mean_interval([1.0], [0], level=1.5)
    with pytest.raises(ValueError, match="'columns': 1, 'clusters': 2"):
        bootstrap_mean_interval([1.0], [0, 1])
    with pytest.raises(ValueError, match="'paired': 1, 'rows': 2"):
        bootstrap_mean_interval([1.0, 2.0], [0, 1], paired=[1])
    with pytest.raises(ValueError, match="nan"):
        bootstrap_mean_interval([float("nan")], [0])
    with pytest.raises(ValueError, match="-1.0"):
        bootstrap_mean_interval([1.0], [0], weights=[-1])
    with pytest.raises(ValueError, match=r"clusters .* shape \(0,\)"):
        bootstrap_interval(lambda rows: 0.0, [])
    with pytest.raises(ValueError, match=r"\[N, C\], got shape \(2,\)"):
        bootstrap_sums_interval(lambda s: s[0], [1.0, 2.0], [0, 1])
