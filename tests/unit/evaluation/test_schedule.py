"""Blocks of whole images, each key once, clean first."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.evaluation.request import Request
from vlm_confidence_tasks.evaluation.schedule import (
    PIXEL_BYTES,
    blocks,
    calls,
    distinct,
    image_bytes,
    work,
)
from vlm_confidence_tasks.types import CLEAN, Variant

from . import making

VARIANTS = [CLEAN, Variant("gaussian_noise", (("epsilon", 0.3),)), Variant("jpeg")]


def make(image: int, variant: int, question: int, task: str = "a", options=()) -> Request:
    return making.request(
        str(image).encode(),
        VARIANTS[variant],
        f"question {question}",
        task=making.spec(task),
        options=options,
    )


requests = st.lists(
    st.builds(
        make, st.integers(0, 9), st.integers(0, 2), st.integers(0, 3), st.sampled_from(["a", "b"])
    )
)


@given(requests, st.integers(1, 12))
def test_blocks_hold_each_request_once_and_split_no_image(
    given_requests: list[Request], limit: int
) -> None:
    made = list(blocks(given_requests, limit))
    flat = [one for block in made for one in block]
    assert sorted(map(id, flat)) == sorted(map(id, given_requests))
    images = [{one.key.image.source for one in block} for block in made]
    assert all(not a & b for i, a in enumerate(images) for b in images[:i])


@given(requests, st.integers(1, 12))
def test_a_block_shows_no_more_images_than_the_limit_unless_it_is_one_image(
    given_requests: list[Request], limit: int
) -> None:
    for block in blocks(given_requests, limit):
        images = {one.key.image for one in block}
        assert len(images) <= limit or len({image.source for image in images}) == 1


@given(requests, st.integers(1, 12))
def test_a_block_takes_no_more_memory_than_given_unless_it_is_one_image(
    given_requests: list[Request], images: int
) -> None:
    size = making.SIDE**2 * PIXEL_BYTES
    found = list(blocks(given_requests, memory=images * size + size // 2))
    assert found == list(blocks(given_requests, limit=images))
    assert found == list(blocks(given_requests, memory=images * size))
    assert work(given_requests, [], 2 * images * size) == list(
        blocks(distinct(given_requests), images)
    )


def test_what_an_image_takes_is_that_of_the_fitted_one() -> None:
    one = make(1, 0, 0)
    smaller = replace(one, key=replace(one.key, image=replace(one.key.image, max_side=5)))
    assert [image_bytes(request) for request in (one, smaller)] == [400, 100]


@given(requests)
def test_calls_are_clean_first_and_of_one_task(given_requests: list[Request]) -> None:
    made = list(calls(given_requests))
    assert sorted(id(one) for call in made for one in call) == sorted(map(id, given_requests))
    for call in made:
        assert len({one.task.name for one in call}) == 1
    is_clean = [one.variant == CLEAN for call in made for one in call]
    assert is_clean == sorted(is_clean, reverse=True)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(1, [96, 96, 58]), (5, [100, 100, 50]), (400, [250])]
)
def test_calls_have_full_batches_and_about_a_hundred_requests(
    batch_size: int, sizes: list[int]
) -> None:
    many = [make(1, 0, question) for question in range(250)]
    assert [len(call) for call in calls(many, batch_size)] == sizes


@given(requests)
def test_requests_about_one_shown_image_stand_together(given_requests: list[Request]) -> None:
    flat = [one for call in calls(given_requests) for one in call]
    runs = [key for key, _ in groupby((one.key.image, one.task.name) for one in flat)]
    assert len(runs) == len(set(runs))


def test_calls_end_between_images() -> None:
    many = [make(image, 0, question) for question in range(18) for image in range(8)]
    assert [len(call) for call in calls(many)] == [90, 54]


def test_blocks_are_in_order_of_first_appearance() -> None:
    given_requests = [make(3, 0, 0), make(1, 0, 0), make(3, 1, 0), make(2, 0, 0)]
    (block,) = blocks(given_requests, limit=100)
    assert [one.key.image.source for one in block] == [b"3", b"3", b"1", b"2"]


def test_distinct_returns_the_first_request_or_the_first_that_scores_options() -> None:
    plain, again, scoring, later = (
        make(1, 0, 0, task, options)
        for task, options in (("a", ()), ("b", ()), ("c", ("x",)), ("d", ("x",)))
    )
    other = make(2, 0, 0)
    assert distinct([plain, other, again]) == [plain, other]
    assert distinct([plain, other, again, scoring, later]) == [scoring, other]
    assert distinct([scoring, other, plain]) == [scoring, other]


def test_hidden_states_are_captured_if_any_request_of_the_key_needs_them() -> None:
    plain, again, other = make(1, 0, 0), make(1, 0, 0, "b"), make(2, 0, 0)
    wanting = replace(again, representations=True)
    for given_requests in ([plain, other, wanting], [wanting, other, plain]):
        first, second = distinct(given_requests)
        assert (first.task, first.representations) == (given_requests[0].task, True)
        assert second is other and not second.representations
