"""What is packed comes back bit for bit."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vlm_confidence_tasks.evaluation.request import Generation
from vlm_confidence_tasks.evaluation.response_cache.serialization import pack, unpack
from vlm_confidence_tasks.probe import HiddenStates, LabelStep, Reading, Served

float32 = arrays(np.float32, st.integers(0, 9), elements=st.floats(width=32))
insides = st.builds(
    HiddenStates,
    context=float32,
    answer=st.none() | float32,
    vision=st.none() | float32,
    dirichlet_energy=st.none() | st.floats(),
    layer_entropy=float32,
)
label_steps = st.builds(
    LabelStep,
    step=st.integers(0, 2**31),
    label=st.none() | st.integers(0, 25),
    logprob=st.lists(st.floats(), max_size=4).map(tuple),
    unseen=st.lists(st.floats(), max_size=4).map(tuple),
    rest=st.floats(),
)
served = st.builds(
    Served,
    truncated=st.booleans(),
    filtered=st.booleans(),
    refused=st.booleans(),
    other_model=st.none() | st.text(),
)
readings = st.builds(
    Reading,
    tokens=st.lists(st.integers(0, 200_000), max_size=9).map(tuple),
    token_entropy=float32,
    token_logprob=float32,
    label_steps=st.lists(label_steps, max_size=4).map(tuple),
    option_logprob=st.lists(float32, max_size=4).map(tuple),
    inside=st.none() | insides,
    token_entropy_high=st.none() | float32,
)
counts = st.none() | st.fixed_dictionaries({"output_tokens": st.none() | st.integers(0, 99)})


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and one.shape == other.shape
        return one.tobytes() == other.tobytes()
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (HiddenStates, LabelStep)):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return type(one) is type(other) and repr(one) == repr(other)


@given(st.text(), counts, readings, served)
def test_every_number_round_trips_bit_for_bit(
    text: str, counts: dict | None, reading: Reading, said: Served
) -> None:
    generation, again = unpack(pack(Generation(text, counts, served=said), reading))
    assert generation == Generation(text, counts, served=said)
    for field in fields(Reading):
        assert same(getattr(reading, field.name), getattr(again, field.name)), field.name


def test_without_a_reading() -> None:
    assert unpack(pack(Generation("Yes\n"), None)) == (Generation("Yes\n"), None)


@pytest.mark.parametrize("odd", [object(), [1], np.array([{}]), {"a": 2}])
def test_unsupported_types_are_refused(odd: object) -> None:
    reading = Reading((), np.zeros(1, np.float32), np.zeros(1, np.float32), (odd,))
    with pytest.raises(TypeError, match="cannot be serialised"):
        pack(Generation(""), reading)


def test_an_answer_of_256_tokens_takes_less_than_4_kb() -> None:
    rng = np.random.default_rng(0)
    tokens = tuple(rng.integers(0, 150_000, 256).tolist())
    numbers = rng.random((2, 256)).astype(np.float32)
    steps = (LabelStep(3, 0, (-0.1234567890123, -2.3456789012345)),)
    reading = Reading(tokens, numbers[0], numbers[1], steps)
    text = " ".join(rng.choice(["a", "the", "table", "small", "flower", "behind"], 200))
    assert len(pack(Generation(text, {"output_tokens": 256}), reading)) < 4000
