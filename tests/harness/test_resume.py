"""The same command again goes on where it stopped, and ends as if it never had."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import Commands, rows, values
from conftest import BIN, Run, evaluate_command, run_command

from vlm_confidence_tasks.report import cli

TASKS = "pope_eps,caption_eps0.3"
COMMAND = evaluate_command(TASKS, "--use_cache", "cache")[1:]
KILLS = 20
TOTAL = 24 * 5 + 19 * 2


@pytest.fixture(scope="module")
def data(few_questions: Path) -> dict[str, str]:
    return {"VLM_CONFIDENCE_DATA": str(few_questions)}


def live_and_be_killed(
    commands: Commands, folder: Path, data: dict[str, str], moment: int, patience: float
) -> None:
    """Run until so many answers are kept and somewhat longer; or only that if they are."""
    if begun := (folder / "cache").exists():
        shutil.copytree(folder / "cache", folder / "before")
    while True:
        child = commands.start(folder, *COMMAND, environment=data)
        if rows(folder) < moment:
            child.wait_for_rows(moment)
            time.sleep(patience / 15)
        else:
            time.sleep(patience)
        child.signal(signal.SIGKILL)
        code = child.wait().code
        assert code in (0, -signal.SIGKILL), child.log.read_text()
        if code and rows(folder) < TOTAL:
            break
        # It had asked everything: as if it had not been, and again with less time.
        shutil.rmtree(folder / "results", ignore_errors=True)
        shutil.rmtree(folder / "cache")
        if begun:
            shutil.copytree(folder / "before", folder / "cache")
        patience /= 2
    shutil.rmtree(folder / "before", ignore_errors=True)


@pytest.fixture(scope="module")
def survivor(
    commands: Commands, data: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """A run that was killed twenty times, at random moments, and then left to end."""
    rng = random.Random(20)
    folder = tmp_path_factory.mktemp("killed")
    # Some moments are when that many answers are kept; the others come at once after the
    # start, while the model is loaded or answers are read.
    for moment in sorted(rng.sample(range(TOTAL - 20), KILLS)):
        live_and_be_killed(commands, folder, data, moment, rng.uniform(0, 3))
        assert not list(folder.rglob("*_results.json"))
    assert 0 < rows(folder) < TOTAL
    return commands.run(folder, *COMMAND, environment=data)


def assert_same(one: Run, other: Run) -> None:
    """Assert that two runs left the same values, to the last bit."""
    assert one.code == other.code == 0, one.output + other.output
    assert values(one) == values(other)
    for task in one.results["configs"]:
        assert one.samples_file(task).read_bytes() == other.samples_file(task).read_bytes()


def test_killed_at_twenty_moments_and_unbroken_agree_bit_for_bit(survivor: Run, sweep: Run) -> None:
    assert_same(survivor, sweep)


def test_it_says_what_was_reused(survivor: Run) -> None:
    (said,) = re.findall(r"reused (\d+) of (\d+) answers", survivor.output)
    assert said[1] == "158" and 0 < int(said[0]) < 158


def test_once_more_everything_is_reused(
    commands: Commands, survivor: Run, data: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(survivor.folder.parent / "cache", tmp_path / "cache")
    again = commands.run(tmp_path, *COMMAND, environment=data)
    assert_same(again, survivor)
    assert "reused 158 of 158 answers" in again.output


def kill_all(launched: subprocess.Popen) -> None:
    """Kill a launcher and its workers, which are in sessions of their own."""
    children = Path(f"/proc/{launched.pid}/task/{launched.pid}/children").read_text().split()
    for process in (*map(int, children), launched.pid):
        os.kill(process, signal.SIGKILL)
    launched.wait()


def test_killed_with_two_processes_and_resumed_with_two_and_with_one(
    commands: Commands, data: dict[str, str], few_questions: Path, sweep: Run, tmp_path: Path
) -> None:
    # `accelerate launch --cpu` would start one process only.
    launch = ["torchrun", "--nproc_per_node", "2", "-m", "vlm_confidence_tasks"]
    command = evaluate_command(TASKS, "--use_cache", "cache", program=launch)
    with (tmp_path / "log").open("w") as log:
        launched = subprocess.Popen(
            [str(BIN / command[0]), *command[1:]],
            cwd=tmp_path,
            env={**os.environ, **data},
            stdout=log,
            stderr=log,
        )
        deadline = time.monotonic() + 300
        while rows(tmp_path) < 50 and time.monotonic() < deadline and launched.poll() is None:
            time.sleep(0.01)
        kill_all(launched)
    kept = rows(tmp_path)
    assert {path.name for path in tmp_path.glob("cache/*/*.sqlite")} == {"0.sqlite", "1.sqlite"}
    assert 50 <= kept < 158, (tmp_path / "log").read_text()
    two = run_command(command, tmp_path, few_questions)
    assert two.code == 0, two.output
    said = re.findall(r"rank \d: reused (\d+) of (\d+) answers", two.output)
    assert len(said) == 2 and sum(int(count) for count, _ in said) == kept
    for task in sweep.results["configs"]:
        assert two.numbers(task) == sweep.numbers(task)
        assert two.samples(task) == sweep.samples(task)
    assert not list(tmp_path.rglob("partial"))
    shutil.rmtree(tmp_path / "results")
    one = commands.run(tmp_path, *COMMAND, environment=data)
    assert_same(one, sweep)
    assert "reused 158 of 158 answers" in one.output


def test_without_a_folder_it_says_what_would_have_kept_the_answers(
    commands: Commands, data: dict[str, str], tmp_path: Path
) -> None:
    child = commands.start(tmp_path, *evaluate_command(TASKS)[1:], environment=data)
    deadline = time.monotonic() + 200
    while "Perturbed:" not in child.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.003)
    child.signal(signal.SIGTERM)
    stopped = child.wait()
    assert stopped.code == 1 and "--use_cache DIR would have kept them" in stopped.last_line


@pytest.fixture(scope="module")
def one_done(
    commands: Commands, data: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What a run of AMBER and POPE left that was killed after AMBER was complete."""
    folder = tmp_path_factory.mktemp("one_done")
    both = folder / "data"
    shutil.copytree(data["VLM_CONFIDENCE_DATA"], both)
    shutil.copytree(Path(cli.__file__).parents[1] / "sandbox" / "data" / "seed", both / "seed")
    command = evaluate_command("seed_eps0.3,pope_eps0.3", "--limit", "12")[1:]
    child = commands.start(folder, *command, environment={"VLM_CONFIDENCE_DATA": str(both)})
    deadline = time.monotonic() + 200
    while not list(folder.rglob("partial/*.json")) and time.monotonic() < deadline:
        time.sleep(0.002)
    child.signal(signal.SIGKILL)
    child.wait()
    return folder


def test_a_complete_task_is_on_disk_while_others_run(
    one_done: Path, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    (partial,) = one_done.rglob("partial/*.json")
    assert not list(one_done.rglob("*_results.json"))
    found = json.loads(partial.read_text())
    cli.main(["recompute", "--json", str(partial.with_suffix(".jsonl"))])
    assert json.loads(capsys.readouterr().out) == pytest.approx(found["results"], abs=1e-9)
    assert found["documents"] == 12 and found["failed"] == []


def test_partial_results_are_those_of_the_end_which_replaces_them(
    one_done: Path, commands: Commands
) -> None:
    (partial,) = one_done.rglob("partial/*.json")
    found = json.loads(partial.read_text())
    command = evaluate_command("seed_eps0.3,pope_eps0.3", "--limit", "12")[1:]
    environment = {"VLM_CONFIDENCE_DATA": str(one_done / "data")}
    done = commands.run(one_done, *command, environment=environment)
    assert done.code == 0, done.output
    assert done.numbers(found["task"]) == found["results"]
    assert not list(one_done.rglob("partial"))
