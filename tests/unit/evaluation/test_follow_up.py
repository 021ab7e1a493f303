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


def test_only_tasks_with_verbal_have_second_turns():
    plain, with_verbal = ask(), ask("third")
    turns = expecting(plain, with_verbal)
    assert turns.expected() == 1
    (second,) = turns.take([b"a"], {with_verbal.key: YES})
    assert turns.key(with_verbal) == second.key and turns.key(plain) is None
    assert second.index == 1000 and second.first is with_verbal and second.key.labels == ()
    assert second.options == () and not second.representations
    assert second.key.prompt.startswith(
        "A Language model was asked: Is it? Model's answer was: Yes."
    )
    assert turns.expected() == 0 and turns.take([b"a"], {}) == []


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


def test_the_clean_key_of_a_second_turn_is_that_of_the_first():
    first = ask("third", variant=NOISE)
    (second,) = expecting(first).take([b"a"], {first.key: YES})
    assert second.clean == first.clean == ask().key
    assert second.opening is first and first.opening is first


@pytest.mark.parametrize("text", ["", " . "])
def test_an_empty_answer_is_quoted_unchanged(text):
    first = ask("first")
    first_response = making.response(text, None)
    (second,) = expecting(first).take([b"a"], {first.key: first_response})
    assert "Your answer was: . How certain" in second.key.prompt
