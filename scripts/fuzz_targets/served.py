"""Lists of log-probabilities as servers send them: a reading of numbers in range, or a refusal."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from vlm_confidence_tasks.errors import RequestError
from vlm_confidence_tasks.probe.openai_source import read_steps
from vlm_confidence_tasks.probe.served_tokens import spelled_tokens
from vlm_confidence_tasks.probe.top_k import read_top_k

LABELS = (("Yes", "No"), ("A", "B", "C", "D"), ())
tokens = st.sampled_from(["Yes", "No", " yes", "A", "(", "B", ".", "", "<|im_end|>", "\ufffd"]) | (
    st.none() | st.text(max_size=3)
)
logprobs = st.sampled_from([math.log(0.7), math.log(0.3), 0.0, -9999.0, -3.4e38, -math.inf]) | (
    st.floats(-20, 0) | st.floats() | st.integers(-5, 1)
)
raw = st.none() | st.lists(st.integers(0, 255), max_size=4)
listed = st.fixed_dictionaries({"token": tokens, "logprob": logprobs, "bytes": raw})


def step(drawn: tuple[dict[str, Any], list[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return a step whose token is, or is not, among its likeliest."""
    chosen, likeliest, among = drawn
    return {**chosen, "top_logprobs": [*([chosen] if among else []), *likeliest]}


steps = st.tuples(listed, st.lists(listed, max_size=5), st.booleans()).map(step)
choices = st.fixed_dictionaries(
    {
        "content": st.lists(steps, max_size=4),
        "text": st.none() | st.text(max_size=5) | st.just("Yes"),
        "joined": st.booleans(),
        "finish_reason": st.sampled_from(["stop", "length", "content_filter", None]),
    }
)
INPUTS = (choices, st.sampled_from(LABELS), st.none() | st.integers(1, 40))


def answer(drawn: dict[str, Any]) -> Any:
    """Return a choice as the client gives it, its text perhaps that of its tokens."""
    content = json.loads(
        json.dumps(drawn["content"]), object_hook=lambda held: SimpleNamespace(**held)
    )
    text = "".join(at.token or "" for at in content) if drawn["joined"] else drawn["text"]
    return SimpleNamespace(
        message=SimpleNamespace(content=text, refusal=None),
        logprobs=SimpleNamespace(content=content),
        finish_reason=drawn["finish_reason"],
    )


def check(drawn: dict[str, Any], labels: tuple[str, ...], vocabulary: int | None) -> None:
    """What is read is a distribution and its entropy, or the document fails with a line."""
    try:
        found = read_steps(answer(drawn))
        reading = read_top_k(found, spelled_tokens(found, labels), vocabulary) if found else None
    except (RequestError, ValueError) as error:
        assert str(error) and "\n" not in str(error), str(error)
        return
    if reading is None:
        return
    low = reading.token_entropy
    assert (low >= -1e-6).all() and np.isfinite(low).all(), low
    high = reading.token_entropy_high
    assert high is None or (high >= low - 1e-6).all(), (low, high)
    for at in reading.label_steps:
        held = [math.exp(logprob) for logprob in at.logprob]
        assert sum(held) <= 1 + 1e-3 and all(0 <= p <= 1 for p in (*at.unseen, at.rest)), at
