"""Log-probabilities from OpenAI-compatible servers, through the harness's own adapters."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import numpy as np
import pytest
from stand_in import StandIn, answer, digest, entropy

from vlm_confidence_tasks.errors import MeasurementError
from vlm_confidence_tasks.probe.top_k import entropy_bounds

from .kept_runs import said

NOISE = "perturbations: [{name: gaussian_noise, epsilon: 0.3}]"
TASKS = {
    "noisy": NOISE,
    "lenient": f"{NOISE}\nmax_failures: 1",
    "captions": f"{NOISE}\nbenchmark: caption",
    "stated": f"{NOISE}\nverbal: third",
}
ADAPTERS = ("openai", "async_openai", "litellm")


def rows(found: dict, task: str = "noisy") -> list[dict]:
    return [row for row in found["samples"][task] if row.get("failed") is None]


def check(row: dict, server: StandIn, k: int | None) -> None:
    """Hold each readout of a row against what the server knows of the question that it names."""
    by_digest = {digest(question): question for question in server.asked}
    for readout in row["readouts"]:
        label, named = readout["text"].split()
        question = by_digest[named]
        assert question.startswith(row["doc"]["question"]) and readout["answer"] == label
        steps = [np.array(list(step.values())) for _, step in answer(question)]
        bounds = [entropy_bounds(step[:k], None)[0] for step in steps]
        distribution = answer(question)[0][1]
        if k is None:
            assert readout["entropy"] == pytest.approx(entropy(question), abs=1e-6)
        else:
            assert readout["entropy_low"] == pytest.approx(np.mean(bounds), abs=1e-6)
            assert readout["entropy_low"] <= entropy(question) + 1e-6
            assert readout["entropy"] is None and readout["entropy_high"] is None
        if readout["probs"] is not None:
            yes, no = (
                sum(np.exp(distribution[piece]) for piece in pieces)
                for pieces in (("Yes", "yes"), ("No", " no"))
            )
            assert readout["probs"]["Yes"] == pytest.approx(yes / (yes + no), abs=2e-3)


@pytest.mark.parametrize("model", ADAPTERS)
def test_each_of_64_answers_at_once_has_its_own_numbers(
    ask_server: Callable[..., dict], server: StandIn, model: str
) -> None:
    gathered = threading.Event()

    def delay(question: str) -> float:
        """Wait until all threads have asked, then for as long as chance will have it."""
        if "[" in question and server.now == 64:
            gathered.set()
        gathered.wait(timeout=20 if "[" in question else 0)
        return random.Random(question).random() / 10

    server.delay = delay
    threads = {"num_cpus" if model == "async_openai" else "num_concurrent": 64}
    found = ask_server(model, limit=90, arguments=threads)
    assert server.threads == 64 and gathered.is_set()
    assert len(rows(found)) == 90
    for row in rows(found):
        check(row, server, 20)
    numbers = found["results"]["noisy"]
    assert numbers["entropy_bounded,none"] == 1 and "entropy,none" not in numbers
    assert 0 < numbers["probs_unsettled,none"] < 1
    assert 0 < numbers["confidence,none"] < 1
    # No answer was asked for twice.
    assert len(server.payloads) == len(server.asked) - 1


def test_the_whole_vocabulary_gives_exact_entropies(
    ask_server: Callable[..., dict], server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_TOP_LOGPROBS", "all")
    server.most = -1
    found = ask_server()
    for row in rows(found):
        check(row, server, None)
        assert all(readout["probs"] is not None for readout in row["readouts"])
    assert "entropy_bounded,none" not in found["results"]["noisy"]


@pytest.mark.parametrize(
    ("wanted", "most", "asked", "k"),
    [
        ("", 20, [20], 20),
        ("", 10, [20, 5], 5),
        ("", 3, [20, 5, 1], 1),
        ("3", 20, [3], 3),
        ("50", 60, [50], 50),
        ("50", 20, [50, 20], 20),
        ("all", 20, [-1, 20], 20),
    ],
)
def test_what_the_server_accepts_is_found_by_asking_once(
    ask_server: Callable[..., dict],
    server: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    most: int,
    asked: list[int],
    k: int,
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_TOP_LOGPROBS", wanted)
    server.most = most
    found = ask_server()
    assert [payload["top_logprobs"] for payload in server.negotiated] == asked
    assert {payload["top_logprobs"] for payload in server.payloads} == {k}
    assert {payload["temperature"] for payload in server.payloads} == {0}
    for row in rows(found):
        check(row, server, k)


@pytest.mark.parametrize("most", [None, 0])
@pytest.mark.parametrize("model", ADAPTERS)
def test_a_server_without_log_probabilities_still_gives_answers(
    ask_server: Callable[..., dict], server: StandIn, model: str, most: int | None
) -> None:
    server.most = most
    with said() as lines:
        found = ask_server(model)
    (line,) = [line for line in lines if "no log-probabilities" in line]
    assert ("it sends none" if most is None else "top_logprobs must be at most 0") in line
    assert "accuracy and flips are measured" in line
    assert all("logprobs" not in payload for payload in server.payloads)
    for row in rows(found):
        assert all(readout["logprob"] is None for readout in row["readouts"])
    numbers = found["results"]["noisy"]
    assert "ifr,none" in numbers and "entropy_low,none" not in numbers


@pytest.mark.parametrize("task", ["captions", "stated"])
def test_open_questions_and_second_turns_are_answered_too(
    ask_server: Callable[..., dict], server: StandIn, task: str
) -> None:
    found = ask_server(task=task)
    for row in rows(found, task):
        for readout in row["readouts"]:
            assert readout["entropy_low"] > 0
            assert (readout.get("verbal_text") is not None) == (task == "stated")
            assert task == "stated" or readout["probs"] is None


@pytest.mark.parametrize("model", ADAPTERS)
def test_no_failure_is_scored(ask_server: Callable[..., dict], server: StandIn, model: str) -> None:
    server.fault = lambda question, before: "500" if "[" in question else ""
    with pytest.raises(MeasurementError, match=r"no answer: \[LMMS_EVAL_REQUEST_FAILED after 2"):
        ask_server(model)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no logprobs", "came without log-probabilities, which the server sent before"),
        ("none of them", "cannot be read: ValueError: expected 1 to V log-probabilities"),
        ("NaN", "cannot be read: ValueError: a log-probability is not finite"),
        ("no number", "cannot be read: TypeError"),
        ("no distribution", "a token and its list have probability 20 together"),
    ],
)
@pytest.mark.parametrize("model", ["openai", "async_openai"])
def test_numbers_that_are_none_are_not_scored(
    ask_server: Callable[..., dict], server: StandIn, model: str, fault: str, message: str
) -> None:
    server.fault = lambda question, before: fault if "[" in question else ""
    with pytest.raises(MeasurementError, match=message):
        ask_server(model)
    with pytest.raises(MeasurementError, match=message):
        ask_server(model, task="lenient")


@pytest.mark.parametrize("most", [20, None])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("openai", "returned None in place of a text"),
        ("async_openai", "returned 'Error: .*' in place of an answer of the model"),
    ],
)
def test_an_adapters_own_words_are_no_answer(
    ask_server: Callable[..., dict], server: StandIn, model: str, message: str, most: int | None
) -> None:
    server.most = most
    # Without usage, which the adapter would count, `openai` fails on a missing text.
    server.fault = lambda question, before: "no content" if "[" in question else ""
    with pytest.raises(MeasurementError, match=message):
        ask_server(model)


def test_a_spent_budget_is_no_answer(
    ask_server: Callable[..., dict], server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lmms_eval.models.chat import openai as adapter

    monkeypatch.setattr(adapter, "is_budget_exceeded", lambda: len(server.payloads) >= 3)
    with pytest.raises(MeasurementError, match=r"no answer: \[LMMS_EVAL_BUDGET_EXCEEDED\]"):
        ask_server(arguments={"num_concurrent": 1})
