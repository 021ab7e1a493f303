"""What the comparison with generate() lets pass, and what it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vlm_confidence_tasks.models.shared_prefix.check import difference
from vlm_confidence_tasks.probe import HiddenStates, LabelStep, Reading

STATES = HiddenStates(
    context=np.full(3, 2.0, np.float32),
    answer=np.full(3, 1.0, np.float32),
    vision=np.full(3, 5.0, np.float32),
    dirichlet_energy=None,
    layer_entropy=np.full((1, 2), 0.4, np.float32),
)
READING = Reading(
    tokens=(4, 5),
    token_entropy=np.array([0.5, 0.25], np.float32),
    token_logprob=np.array([-0.5, -0.25], np.float32),
    label_steps=(LabelStep(0, 1, (-1.0, -2.0)),),
    option_logprob=(np.array([-3.0], np.float32),),
    inside=STATES,
)


def shifted(name: str, by: float) -> Reading:
    """The reading with one of its measurements wrong."""
    if name == "label":
        return replace(READING, label_steps=(LabelStep(0, 1, (-1.0 + by, -2.0)),))
    if name == "option":
        return replace(READING, option_logprob=(READING.option_logprob[0] + np.float32(by),))
    if name in ("context", "answer", "vision", "layer_entropy"):
        moved = replace(STATES, **{name: getattr(STATES, name) + np.float32(by)})
        return replace(READING, inside=moved)
    return replace(READING, **{name: getattr(READING, name) + np.float32(by)})


NAMES = ["token_entropy", "token_logprob", "label", "option", "context", "answer", "vision"]


@pytest.mark.parametrize("name", [*NAMES, "layer_entropy"])
def test_each_number_is_compared(name: str) -> None:
    largest, why = difference([READING], [shifted(name, 1e-5)], exact=True)
    assert why is None and 0 < largest < 3e-5
    # As much as a rotary position that is wrong by one.
    _, why = difference([READING], [shifted(name, 4e-3)], exact=True)
    assert why is not None and why.startswith("numbers differ by")
    assert difference([READING], [shifted(name, 4e-3)], exact=False)[1] is None
    assert difference([READING], [shifted(name, float("nan"))], exact=True)[1] is not None


def test_other_tokens_are_an_error_but_for_near_ties_of_short_types() -> None:
    other = replace(READING, tokens=(4, 6))
    assert difference([READING], [other], exact=True)[1] == "an answer's tokens differ"
    assert difference([READING], [other], exact=False)[1] is None
    # At the step at which the tokens differ both saw the same text.
    wrong = replace(other, token_entropy=np.array([0.5, 3.0], np.float32))
    assert difference([READING], [wrong], exact=False)[1] is not None
    shorter = replace(
        READING, tokens=(4,), token_entropy=READING.token_entropy[:1],
        token_logprob=READING.token_logprob[:1],
    )  # fmt: skip
    assert difference([READING], [shorter], exact=False)[1] is None
