"""Bookkeeping of second turns."""

from __future__ import annotations

import pytest

from vlm_confidence_tasks.evaluation.follow_up import FollowUps
from vlm_confidence_tasks.evaluation.request import Request
from vlm_confidence_tasks.types import CLEAN, Variant

from . import making

NOISE = Variant("gaussian_noise")
YES = making.response("yes", "Yes")


def ask(verbal=None, image=b"a", variant=CLEAN, prompt="Is it?\nAnswer.", index=0) -> Request:
    return making.request(image, variant, prompt, index, making.spec("t", verbal=verbal))


def expecting(*asks: Request) -> FollowUps:
    turns = FollowUps()
    turns.expect(asks)
    return turns


def test_equal_first_turns_share_one_second_turn_per_person():
    asks = [ask("third"), ask("third"), ask("first"), ask("first", variant=NOISE)]
    turns = expecting(*asks)
    assert turns.expected([b"a"]) == turns.expected() == 3
    second = turns.take([b"a"], {one.key: YES for one in asks})
    assert len(second) == len({one.key for one in second}) == 3
    assert turns.key(asks[0]) == turns.key(asks[1]) != turns.key(asks[2])


def test_prompts_that_differ_only_in_their_ending_may_have_one_second_turn():
    asks = [ask("third"), ask("third", prompt="Is it?\nAnswer briefly.")]
    turns = expecting(*asks)
    assert turns.expected() == 2
    assert len(turns.take([b"a"], {one.key: YES for one in asks})) == 1


def test_second_turns_of_other_images_stay_pending():
    asks = [ask("third"), ask("third", image=b"b")]
    turns = expecting(*asks)
    assert turns.expected([b"b", b"c"]) == 1
    turns.take([b"b"], {asks[1].key: YES})
    assert turns.expected() == 1 and turns.key(asks[0]) is None


@pytest.mark.parametrize("text", ["", " . "])
def test_an_empty_answer_is_quoted_unchanged(text):
    first = ask("first")
    first_response = making.response(text, None)
    (second,) = expecting(first).take([b"a"], {first.key: first_response})
    assert "Your answer was: . How certain" in second.key.prompt
