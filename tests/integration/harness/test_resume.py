"""A stopped run is resumed by the same command and gives the results of an unbroken run."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path

import pytest
from commands import Commands, rows, values
from conftest import Run, assert_near, evaluate_command

from vlm_confidence_tasks import cli
from vlm_confidence_tasks.sandbox import DATA_DIR

TASKS = "pope_eps,caption_eps0.3"
COMMAND = evaluate_command(TASKS, "--use_cache", "cache")[1:]
TOTAL = 24 * 5 + 19 * 2
# How many answers are cached when the run is killed: before the first, between images and
# strengths, and where the second task has begun.
MOMENTS = (0, 1, 2, 30, 31, 79, 121, 140)


@pytest.fixture(scope="module")
def data(few_questions: Path) -> dict[str, str]:
    return {"VLM_CONFIDENCE_DATA": str(few_questions)}


def live_and_be_killed(commands: Commands, folder: Path, data: dict[str, str], moment: int) -> None:
    """Run until so many answers are cached, then kill it; repeat if all were cached by then."""
    cache, before = folder / "cache", folder / "before"
    if begun := cache.exists():
        shutil.copytree(cache, before)
    while True:
        child = commands.start(folder, *COMMAND, environment=data)
        child.wait_until(lambda: cache.exists() and rows(folder) >= moment)
        child.signal(signal.SIGKILL)
        code = child.wait().code
        assert code in (0, -signal.SIGKILL), child.log.read_text()
        if code and rows(folder) < TOTAL:
            break
        shutil.rmtree(folder / "results", ignore_errors=True)
        shutil.rmtree(cache)
        if begun:
            shutil.copytree(before, cache)
    shutil.rmtree(before, ignore_errors=True)


@pytest.fixture(scope="module")
def survivor(
    commands: Commands, data: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """A run that was killed again and again, and then left to end."""
    folder = tmp_path_factory.mktemp("killed")
    for moment in MOMENTS:
        live_and_be_killed(commands, folder, data, moment)
        assert not list(folder.rglob("*_results.json"))
    assert 0 < rows(folder) < TOTAL
    return commands.run(folder, *COMMAND, environment=data)


def assert_same(one: Run, other: Run) -> None:
    """Assert that two runs left the same values, to the last bit."""
    assert one.code == other.code == 0, one.output + other.output
    assert values(one) == values(other)
    for task in one.results["configs"]:
        assert one.samples_file(task).read_bytes() == other.samples_file(task).read_bytes()


def test_killed_at_many_moments_and_unbroken_agree_bit_for_bit(survivor: Run, sweep: Run) -> None:
    assert_same(survivor, sweep)
    (counts,) = re.findall(r"reused (\d+) of (\d+) answers", survivor.output)
    assert counts[1] == "158" and 0 < int(counts[0]) < 158


def test_killed_with_two_processes_and_resumed_with_two_and_with_one(
    commands: Commands, data: dict[str, str], sweep: Run, tmp_path: Path
) -> None:
    ranks = commands.start_ranks(tmp_path, *COMMAND, environment=data)
    ranks[0].wait_for_rows(50)
    for rank in ranks:
        rank.signal(signal.SIGKILL)
    assert [rank.wait().code for rank in ranks] == [-signal.SIGKILL] * 2, ranks[0].log.read_text()
    cached = rows(tmp_path)
    assert {path.name for path in tmp_path.glob("cache/*/*.sqlite")} == {"0.sqlite", "1.sqlite"}
    assert 50 <= cached < TOTAL
    again = [rank.wait() for rank in commands.start_ranks(tmp_path, *COMMAND, environment=data)]
    assert [rank.code for rank in again] == [0, 0], again[0].output + again[1].output
    two = again[0]
    output = two.output + again[1].output
    counts = re.findall(r"rank \d: reused (\d+) of (\d+) answers", output)
    assert len(counts) == 2 and sum(int(count) for count, _ in counts) == cached
    for task in sweep.results["configs"]:
        # Two processes share prefixes among other questions: rounding differs.
        assert_near(two.numbers(task), sweep.numbers(task))
        assert_near(two.samples(task), sweep.samples(task))
    assert not list(tmp_path.rglob("partial"))
    shutil.rmtree(tmp_path / "results")
    one = commands.run(tmp_path, *COMMAND, environment=data)
    assert_same(one, sweep)
    assert "reused 158 of 158 answers" in one.output


def test_a_complete_task_is_on_disk_while_others_run_as_the_end_has_it(
    commands: Commands,
    data: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = tmp_path / "data"
    shutil.copytree(data["VLM_CONFIDENCE_DATA"], both)
    shutil.copytree(DATA_DIR / "seed", both / "seed")
    command = evaluate_command("seed_eps0.3,pope_eps0.3", "--limit", "12")[1:]
    environment = {"VLM_CONFIDENCE_DATA": str(both)}
    child = commands.start(tmp_path, *command, environment=environment)
    child.wait_until(lambda: any(tmp_path.rglob("partial/*.json")))
    child.signal(signal.SIGKILL)
    child.wait()
    (partial,) = tmp_path.rglob("partial/*.json")
    assert not list(tmp_path.rglob("*_results.json"))
    found = json.loads(partial.read_text())
    assert found["documents"] == 12 and found["failed"] == []
    cli.main(["recompute", "--json", str(partial.with_suffix(".jsonl"))])
    again = json.loads(capsys.readouterr().out)
    assert {n: again[n] for n in found["results"]} == pytest.approx(found["results"], abs=1e-9)
    done = commands.run(tmp_path, *command, environment=environment)
    assert done.code == 0, done.output
    assert done.numbers(found["task"]) == found["results"]
    assert not list(tmp_path.rglob("partial"))
