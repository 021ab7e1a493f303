"""Texts that carry what an engine returned, through what adapters do with them."""

from __future__ import annotations

import pytest

from vlm_confidence_tasks.errors import RequestError
from vlm_confidence_tasks.probe.carrying import CarryingText, carried

NUMBERS = object()


@pytest.mark.parametrize(
    ("pass_through", "text"),
    [
        (lambda text: text, " Yes "),
        (lambda text: "" + text, " Yes "),
        (lambda text: "so" + text, "so Yes "),
        (lambda text: text.strip(), "Yes"),
        (lambda text: [text][0:1][0], " Yes "),
    ],
)
def test_what_adapters_do_leaves_the_numbers_with_the_text(pass_through, text):
    found = pass_through(CarryingText(" Yes ", NUMBERS))
    assert found == text and isinstance(found, str)
    assert carried(found) is NUMBERS


def test_a_text_that_carries_nothing_is_the_adapters_own():
    with pytest.raises(RequestError, match="returned 'Error: no text' in place of an answer"):
        carried("Error: no\n text")
