import numpy as np
import pytest

from vlm_confidence_tasks.metrics.inference.clusters import (
    draws_for,
    effective_clusters,
    numbered,
    seen_on,
    sides,
    sums,
    too_few,
)


def test_clusters_are_numbered_in_the_order_of_their_names():
    index, size = numbered(["dog", "cat", "dog", "eel"])
    assert index.tolist() == [1, 0, 1, 2] and size == 3
    assert numbered([7, 7, -1])[0].tolist() == [1, 1, 0]


def test_rows_of_a_cluster_are_added_up():
    index, size = numbered(["b", "a", "b"])
    columns = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    assert sums(index, size, columns).tolist() == [[2.0, 20.0], [5.0, 50.0]]


def test_sides():
    (everything,) = sides(None, 2)
    assert everything.tolist() == [True, True]
    first, second = sides([0, 1, 1], 3)
    assert first.tolist() == [True, False, False] and second.tolist() == [False, True, True]


def test_images_with_an_event_are_counted_on_the_side_that_has_fewest():
    images, event = list("aabbcc"), [1, 1, 0, 1, 0, 0]
    assert seen_on(images, event) == 2
    assert seen_on(images, event, [0, 1, 0, 1, 0, 1]) == 1


def test_few_images_are_too_few_and_so_are_those_beside_one_of_most_answers():
    assert too_few(np.array([1, 1, 1, 1, 0])) and not too_few(np.array([1, 1, 1, 1, 1]))
    assert not too_few(np.array([5, 1, 1, 1, 2])) and too_few(np.array([6, 1, 1, 1, 2]))


def test_uneven_images_are_worth_fewer_and_may_be_too_few():
    # 100 images, of which 4 have n rows: worth 37 with n of 10, 34 with 11; 35 are enough.
    sizes = np.ones(100)
    for large, few in ((10, False), (11, True)):
        sizes[:4] = large
        assert too_few(sizes) is few
        assert effective_clusters(sizes) == pytest.approx(
            (96 + 4 * large) ** 2 / (96 + 4 * large**2)
        )
    assert effective_clusters(sizes) == pytest.approx(effective_clusters(3 * sizes))


def test_far_ends_have_draws_beyond_them():
    assert draws_for(0.95, 1000) == 1000
    for level in (0.999, 0.9999):
        assert draws_for(level, 1000) * (1 - level) / 2 >= 5 - 1e-6
