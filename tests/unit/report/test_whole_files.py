"""What is written over older files replaces them whole, or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.report.formats.whole import UNFINISHED, replacing

COMMANDS = {
    "leaderboard": ["leaderboard", "{runs}", "--output", "{out}", "--quiet", "--no-intervals"],
    "figures": ["figures", "{runs}", "--output", "{out}", "--quiet", "--no-intervals"],
    "claims": ["claims", "{runs}", "--output", "{out}", "--quiet"],
    "export": ["export", "{runs}", "--output", "{out}/answers.csv"],
}


# The command, killed by itself as it opens its n-th unfinished file: no timing decides.
KILLED_AT = f"""
import os, signal, sys
from vlm_confidence_tasks import cli

left = [int(sys.argv.pop(1))]

def watch(event, given):
    if event == "open" and {UNFINISHED!r} in str(given[0]) and "w" in str(given[1]):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
cli.main()
"""


def command(name: str, runs: Path, out: Path) -> list[str]:
    return [text.format(runs=runs, out=out) for text in COMMANDS[name]]


def held(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_killed_leaderboard_leaves_the_older_one_whole(tmp_path: Path) -> None:
    tasks = {f"pope_eps{e}": answers(questions(12), [noise(e)]) for e in (0.1, 0.2, 0.3)}
    results = write_run(tmp_path / "runs", tasks)
    given = command("leaderboard", tmp_path / "runs", tmp_path / "board")
    cli.main([*given, "--no-figures"])
    before = held(tmp_path / "board")
    record = json.loads(results.read_text())
    record["config"]["model_args"] = "pretrained=org/other"
    results.write_text(json.dumps(record))
    for written in (1, 5, 9):
        process = subprocess.run([sys.executable, "-c", KILLED_AT, str(written), *given])
        assert process.returncode == -signal.SIGKILL
        left = {n: d for n, d in held(tmp_path / "board").items() if not n.startswith(UNFINISHED)}
        assert left == before
    cli.main(given)
    after = held(tmp_path / "board")
    assert b"org/other" in after["index.html"] and after.keys() > before.keys()
    assert not list((tmp_path / "board").glob(f"{UNFINISHED}*"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_link_is_replaced_and_not_written_through(name: str, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", {"pope_eps0.3": answers(questions(12), [noise(0.3)])})
    out, mine = tmp_path / "out", tmp_path / "mine"
    out.mkdir()
    cli.main(command(name, tmp_path / "runs", out))
    written = held(out)
    mine.write_text("mine")
    for file in written:
        (out / file).unlink()
        os.symlink(mine, out / file)
    cli.main(command(name, tmp_path / "runs", out))
    assert mine.read_text() == "mine" and held(out) == written
    assert not any((out / file).is_symlink() for file in written)


@pytest.mark.parametrize("name", ["models", "tables", "figures"])
def test_a_folder_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", {"pope_eps0.3": answers(questions(12), [noise(0.3)])})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "out" / name)
    with pytest.raises(SystemExit, match=f"{tmp_path}/out/{name} is no folder; give another"):
        cli.main(command("leaderboard", tmp_path / "runs", tmp_path / "out"))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError, match="full"), replacing(tmp_path) as new:
        (new / "a").write_text("new")
        raise OSError("full")
    assert held(tmp_path) == {"a": b"old"}
