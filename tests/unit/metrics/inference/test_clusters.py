import numpy as np

from vlm_confidence_tasks.metrics.inference.clusters import (
    draws_for,
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


def test_far_ends_have_draws_beyond_them():
    assert draws_for(0.95, 1000) == 1000
    for level in (0.999, 0.9999):
        assert draws_for(level, 1000) * (1 - level) / 2 >= 5 - 1e-6
