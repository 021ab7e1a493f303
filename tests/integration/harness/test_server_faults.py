"""Faults of OpenAI-compatible servers, caused on purpose; docs/faults.md lists the outcomes.

VLM_CONFIDENCE_WRITE_FAULTS=1 pytest tests/integration/harness/test_server_faults.py
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from stand_in import StandIn

from vlm_confidence_tasks.errors import MeasurementError
from vlm_confidence_tasks.probe import ProbeError

from .fault_table import FAULTS, WRITE, listed
from .kept_runs import reused, said

TASKS = {"noisy": "perturbations: [{name: gaussian_noise, epsilon: 0.3}]"}
LIMIT = 12


@pytest.fixture
def ask(ask_server: Callable[..., dict]) -> Callable[..., dict]:
    """A function that evaluates the task with `async_openai` on the server."""

    def run(folder: Path | None = None, **given) -> dict:
        arguments = {"num_cpus": 4} | given
        return ask_server("async_openai", folder, arguments=arguments, limit=LIMIT)

    return run


def readouts(found: dict) -> list[list[dict]]:
    return [row["readouts"] for row in found["samples"]["noisy"]]


def failing(*faults: str, times: int = 10**9) -> Callable[[str, int], str]:
    """Fail the first times that a question with an image is asked, each in one of some ways."""

    def fault(question: str, before: int) -> str:
        return faults[len(question) % len(faults)] if "[" in question and before < times else ""

    return fault


def test_failures_that_pass(happened: Callable, ask: Callable[..., dict], server: StandIn) -> None:
    without = ask()
    server.asked.clear()
    server.fault = failing("429", "500", "malformed", "cut", times=1)
    assert readouts(ask()) == readouts(without)
    assert max(server.asked.values()) == 2
    what = "429, 500, a cut connection or half of a JSON, the first time that each is asked"
    happened("a server fails for a while", what, "it ended well; the same values")


@pytest.mark.parametrize(
    ("row", "done", "fault", "given", "error"),
    [
        ("a server fails", "500 to every question", failing("500"), {}, MeasurementError),
        ("a server is down", "500 to everything", lambda *question: "500", {}, ProbeError),
        (
            "time-outs",
            "answers that take 3 s with `timeout=0.2`",
            failing("slow"),
            {"timeout": 0.2, "max_retries": 1},
            MeasurementError,
        ),
        (
            "answers without log-probabilities",
            "a server that sent some when it was asked first",
            failing("no logprobs"),
            {},
            MeasurementError,
        ),
        (
            "numbers that are none",
            "NaN as a log-probability",
            failing("NaN"),
            {},
            MeasurementError,
        ),
    ],
)
def test_failures_that_stay(
    row: str,
    done: str,
    fault: Callable[[str, int], str],
    given: dict,
    error: type[Exception],
    happened: Callable,
    ask: Callable[..., dict],
    server: StandIn,
) -> None:
    server.fault = fault
    with pytest.raises(error) as caught:
        ask(**given)
    # A server that is down is found so before anything is asked.
    assert bool(server.payloads) == (error is MeasurementError)
    happened(row, done, f"exit 1, “{caught.value}”")


def test_fewer_than_asked_for(
    happened: Callable, ask: Callable[..., dict], server: StandIn
) -> None:
    bounds = ask()["results"]["noisy"]["entropy_low,none"]
    server.fault = failing("fewer")
    assert ask()["results"]["noisy"]["entropy_low,none"] < bounds
    what = "3 tokens where 20 were asked for"
    happened("fewer than asked for", what, "it ended well; `entropy_low` is lower")


def test_none_at_all(happened: Callable, ask: Callable[..., dict], server: StandIn) -> None:
    server.most = 0
    with said() as lines:
        found = ask()
    (line,) = [line for line in lines if "no log-probabilities" in line]
    assert "entropy_low,none" not in found["results"]["noisy"]
    what = "a server that refuses `top_logprobs` of 20, 5 and 1"
    happened("no log-probabilities at all", what, f"“{line}”; it ended well")


def test_a_server_that_dies(
    happened: Callable,
    ask: Callable[..., dict],
    server: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_MODEL_VERSION", "of today")
    without = ask()
    server.payloads.clear()
    # It dies among the clean answers, of which some have come.
    server.fault = lambda question, before: "cut" if len(server.payloads) > 7 else ""
    with pytest.raises(MeasurementError) as error:
        ask(tmp_path)
    server.fault = lambda question, before: ""
    server.payloads.clear()
    with said() as lines:
        assert readouts(ask(tmp_path)) == readouts(without)
    line = reused(lines)
    kept, total = map(int, re.findall(r"\d+", line))
    assert 0 < kept < total == 2 * LIMIT and len(server.payloads) == total - kept
    # Another version's answers are others.
    monkeypatch.setenv("VLM_CONFIDENCE_MODEL_VERSION", "of tomorrow")
    with said() as lines:
        ask(tmp_path)
    assert reused(lines).startswith("reused 0 of")
    stopped = re.sub(r"document \d+ \(question_id \d+\)", "document N", str(error.value))
    what = "connections cut from the eighth answer on, with `--use_cache cache` and a version named"
    ended = f"exit 1, “{stopped}”; the same command again: “{line}”, all values as of a whole run"
    happened("a server dies in the middle", what, ended)


def test_a_version_that_is_not_named(
    happened: Callable, ask: Callable[..., dict], tmp_path: Path
) -> None:
    with said() as lines:
        ask(tmp_path / "cache")
    (line,) = [line for line in lines if "--use_cache" in line]
    assert not list(tmp_path.iterdir())
    what = "`--use_cache cache` without VLM_CONFIDENCE_MODEL_VERSION"
    happened("a version is not named", what, f"“{line}”; the run ended well")


def test_the_table_holds_these_faults_and_no_others() -> None:
    if WRITE:
        pytest.skip("the table is being written")
    assert listed() == list(FAULTS)
