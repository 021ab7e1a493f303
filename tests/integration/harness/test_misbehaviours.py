"""Servers that misbehave, by the real command: what is scored, and what fails with one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, evaluate_command, run_command, write_pope
from stand_in import StandIn

from vlm_confidence_tasks.report.inputs.samples import read_samples

from .misbehaviours import CASES, MODEL, Case, response

Happened = Callable[[str, str, str], None]
TASK = "pope_eps0.3"
FAILING = [case for case in CASES if isinstance(case.scored, str)]
SCORED = [case for case in CASES if not isinstance(case.scored, str)]


def numbered(row: dict[str, Any]) -> dict[str, Any]:
    """Ask for a misbehaviour, by the question's id."""
    return row | {"question": f"{row['question']} ({row['question_id']})"}


def reply(question: str) -> Any:
    found = re.search(r"\((\d+)\)", question)
    return None if found is None else response(CASES[int(found[1]) - 1])


def ask(server: StandIn, folder: Path, rows: range, *more: str, **environment: str) -> Run:
    """Evaluate as many questions of the sandbox, whose ids count from 1, on the server."""
    server.reply = reply
    data = write_pope(folder / "data", rows, numbered)
    arguments = f"model_version={MODEL},base_url={server.url},num_concurrent=8,max_retries=1"
    given = ("--model", "openai", "--model_args", arguments, *more)
    named = {"OPENAI_API_KEY": "none", "VLM_CONFIDENCE_MODEL_VERSION": "1"}
    return run_command(evaluate_command(TASK, *given), folder, data, **named, **environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def done(folder: Path) -> Iterator[tuple[Run, StandIn]]:
    """One run over a server that does to each document something else."""
    from stand_in import stand_in

    allowed = {"VLM_CONFIDENCE_MAX_FAILURES": str(len(FAILING)), "VLM_CONFIDENCE_METRICS": "all"}
    with stand_in() as server:
        run = ask(server, folder, range(len(CASES)), "--use_cache", "cache", **allowed)
        yield run, server


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_each_is_scored_as_it_must_be_or_fails_with_one_line(
    done: tuple[Run, StandIn], case: Case
) -> None:
    run, _ = done
    row = run.samples(TASK)[str(CASES.index(case) + 1)]
    if isinstance(case.scored, str):
        assert case.scored in row["failed"] and "\n" not in row["failed"]
        assert "nothing was scored" in row["failed"] and not row["readouts"]
        return
    assert row.get("failed") is None
    for readout in row["readouts"]:
        for name, value in case.scored.items():
            expected = pytest.approx(value, abs=1e-6) if isinstance(value, float) else value
            assert readout.get(name) == expected, (name, readout)
        assert {"truncated", "filtered", "other_model"} & set(readout) == {
            "truncated",
            "filtered",
            "other_model",
        } & set(case.scored)


def test_the_run_says_how_many(done: tuple[Run, StandIn], happened: Happened) -> None:
    run, _ = done
    found = []
    assert len(CASES) >= 30 and run.code == 0, run.output[-3000:]
    assert run.results["results"][TASK]["failed,none"] == len(FAILING)
    # On the clean and on the perturbed image.
    total, lines = 2 * len(SCORED), run.output.splitlines()
    for name, metric, said in (
        ("refused", "refusal_rate", "are refusals"),
        ("truncated", "truncated_rate", "were cut off at the limit of tokens"),
        ("filtered", "filtered_rate", "were withheld by a content filter, whole or in part"),
        ("other_model", "other_model_rate", "came from another model than was asked"),
    ):
        count = 2 * sum(bool(case.scored.get(name)) for case in SCORED)
        assert lines.count(f"{count} of {total} answers {said} ({metric})") == 1
        found.append(f"“N of N answers {said} ({metric})”")
        assert run.numbers(TASK)[metric] == count / total
    what = "`finish_reason` of length and content_filter, with a text or without; a `refusal`"
    happened("cut off, filtered, refused", what, f"it ended well; {', '.join(found[:3])}")
    what = "responses with another `model` than was asked"
    happened("another model answers", what, f"it ended well; {found[3]}")
    what = "-9999.0 and -inf as log-probabilities among the k likeliest"
    happened("impossible tokens", what, "it ended well; they count as probability 0")
    bounded = [case.scored for case in SCORED if case.scored["answer"] is not None]
    count = 2 * sum(scored.get("confidence", 0) is None for scored in bounded)
    said = "have bounds too far apart for a confidence: calibration is of the others"
    assert lines.count(f"{count} of {2 * len(bounded)} answers {said} (confidence_open)") == 1


def test_what_was_scored_is_the_same_from_the_cache_and_in_a_report(
    done: tuple[Run, StandIn], folder: Path, happened: Happened
) -> None:
    run, server = done
    before, asked = run.samples(TASK), len(server.payloads)
    samples = read_samples(run.samples_file(TASK)).samples
    assert [s.clean.text for s in samples if "ud83d" in s.clean.text] == ["Yes \\ud83d"]
    made = run_command(["vlm-confidence", "leaderboard", "results", "--output", "board"], folder)
    assert made.code == 0, made.output
    made = run_command(["vlm-confidence", "export", "results", "--output", "all.csv"], folder)
    assert made.code == 0 and "Yes \\ud83d" in (folder / "all.csv").read_text()
    what = "a text that ends with a half of a surrogate pair"
    ended = "it ended well; escaped in samples, cache and tables (`Yes \\ud83d`)"
    happened("half a character", what, ended)
    # Only what failed is asked again.
    (folder / "again").mkdir()
    allowed = {"VLM_CONFIDENCE_MAX_FAILURES": str(len(FAILING))}
    cache = str(folder / "cache")
    again = ask(server, folder / "again", range(len(CASES)), "--use_cache", cache, **allowed)
    assert f"reused {2 * len(SCORED)} of {2 * len(SCORED)} answers" in again.output
    assert len(server.payloads) < 2 * asked
    after = again.samples(TASK)
    assert {n: row.get("readouts") for n, row in after.items()} == {
        n: row.get("readouts") for n, row in before.items()
    }


def test_without_leave_to_fail_the_first_of_them_ends_the_run(
    server: StandIn, tmp_path: Path, happened: Happened
) -> None:
    first = CASES.index(FAILING[0])
    run = ask(server, tmp_path, range(first, first + 1))
    assert run.code == 1 and not list(tmp_path.rglob("*_results.json"))
    expected = rf"task {TASK}, document 0 \(question_id {first + 1}\), variant clean: .*"
    assert re.search(expected + FAILING[0].scored, run.last_line)
    what = (
        "tokens that are not in their own lists or have another probability there, "
        "log-probabilities above 0, lists of another text"
    )
    line = run.last_line.removeprefix("lmms_eval: error: ")
    happened("contradictory log-probabilities", what, f"exit 1, “{line}”")
