"""Blocks of whole images, each thing once, clean first."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.harness.plan import Ask, Key, Shown, blocks, calls, distinct
from vlm_confidence_tasks.types import CLEAN, Variant

VARIANTS = [CLEAN, Variant("gaussian_noise", (("epsilon", 0.3),)), Variant("jpeg")]


def ask(image: int, variant: int, question: int, task: str = "a", options=()) -> Ask:
    shown = Shown(str(image).encode(), None, VARIANTS[variant])
    key = Key(shown, f"question {question}", "{}", ("Yes", "No"))
    return Ask(SimpleNamespace(task_name=task), 0, 0, None, key, options=options)


asks = st.lists(
    st.builds(
        ask, st.integers(0, 9), st.integers(0, 2), st.integers(0, 3), st.sampled_from(["a", "b"])
    )
)


@given(asks, st.integers(1, 12))
def test_blocks_hold_everything_once_and_split_no_image(given_asks: list[Ask], limit: int) -> None:
    made = list(blocks(given_asks, limit))
    flat = [one for block in made for one in block]
    assert sorted(map(id, flat)) == sorted(map(id, given_asks))
    images = [{one.key.shown.source for one in block} for block in made]
    assert all(not a & b for i, a in enumerate(images) for b in images[:i])


@given(asks, st.integers(1, 12))
def test_a_block_shows_no_more_pictures_than_the_limit_unless_it_is_one_image(
    given_asks: list[Ask], limit: int
) -> None:
    for block in blocks(given_asks, limit):
        pictures = {one.key.shown for one in block}
        assert len(pictures) <= limit or len({shown.source for shown in pictures}) == 1


@given(asks)
def test_calls_are_clean_first_and_of_one_task(given_asks: list[Ask]) -> None:
    made = list(calls(given_asks))
    assert sorted(id(one) for call in made for one in call) == sorted(map(id, given_asks))
    for call in made:
        assert len({one.task.task_name for one in call}) == 1
    is_clean = [one.variant == CLEAN for call in made for one in call]
    assert is_clean == sorted(is_clean, reverse=True)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(1, [96, 96, 58]), (5, [100, 100, 50]), (400, [250])]
)
def test_calls_are_of_whole_batches_and_about_a_hundred_asks(
    batch_size: int, sizes: list[int]
) -> None:
    many = [ask(1, 0, question) for question in range(250)]
    assert [len(call) for call in calls(many, batch_size)] == sizes


def test_images_stand_in_order_of_first_appearance() -> None:
    given_asks = [ask(3, 0, 0), ask(1, 0, 0), ask(3, 1, 0), ask(2, 0, 0)]
    (block,) = blocks(given_asks, limit=100)
    assert [one.key.shown.source for one in block] == [b"3", b"3", b"1", b"2"]


def test_the_clean_key_differs_in_the_variant_alone() -> None:
    assert ask(1, 2, 3).clean == ask(1, 0, 3).key
    assert ask(1, 2, 3).clean != ask(1, 0, 2).key


def test_each_thing_is_asked_by_the_first_request_or_the_first_that_scores_options() -> None:
    plain, again, scoring, later = (
        ask(1, 0, 0, task, options)
        for task, options in (("a", ()), ("b", ()), ("c", ("x",)), ("d", ("x",)))
    )
    other = ask(2, 0, 0)
    assert distinct([plain, other, again]) == [plain, other]
    assert distinct([plain, other, again, scoring, later]) == [scoring, other]
    assert distinct([scoring, other, plain]) == [scoring, other]


def test_the_inside_is_captured_if_any_ask_of_the_key_wants_it() -> None:
    plain, again, other = ask(1, 0, 0), ask(1, 0, 0, "b"), ask(2, 0, 0)
    wanting = replace(again, inside=True)
    for given_asks in ([plain, other, wanting], [wanting, other, plain]):
        first, second = distinct(given_asks)
        assert (first.task, first.inside) == (given_asks[0].task, True)
        assert second is other and not second.inside
