"""A disk that is full at any moment: exit 1, what is whole is kept and named, nothing is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Commands, values
from conftest import assert_near, evaluate_command

from vlm_confidence_tasks import cli

TASKS = ("pope_eps0.3", "pope_eps0.5")
COMMAND = evaluate_command(",".join(TASKS), "--limit", "12")[1:]
# No file may be larger than this share of the largest: partial results of no task, of one and of
# both fit, and the results file or samples are cut at another line.
SHARES = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 0.98)


def is_whole(file: Path) -> bool:
    """Whether a file of partial results holds all documents of its task."""
    text = file.read_text()
    if file.suffix == ".json":
        return json.loads(text)["documents"] == 12
    return [json.loads(line)["doc_id"] for line in text.splitlines()] == list(range(12))


def test_ten_moments(
    happened: Callable,
    commands: Commands,
    few_questions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = {"VLM_CONFIDENCE_DATA": str(few_questions)}
    whole = commands.run(tmp_path / "whole", *COMMAND, environment=data)
    largest = max(file.stat().st_size for file in whole.folder.rglob("*.json*"))
    cut, folder = [], tmp_path / "full"
    for share in SHARES:
        size = int(share * largest)
        run = commands.run_where_disk_is_full(folder, *COMMAND, size=size, environment=data)
        assert run.code == 1, run.output
        begin, line = "lmms_eval: error: the results were not written: results/", run.last_line
        assert line.startswith(begin) and " is not whole: line " in line, line
        cut.append("samples" if "_samples_" in line.split(" is not whole")[0] else "results")
        named = {folder / name for name in re.findall(r"results/partial/\S+\.jsonl?\b", line)}
        assert named == set(folder.rglob("partial/*")) and all(map(is_whole, named))
        for task in TASKS:
            file = folder / f"results/partial/{task}.json"
            if file in named:
                assert_near(json.loads(file.read_text())["results"], whole.numbers(task))
            else:
                assert re.search(rf"There are none of [^:]*\b{task}", line), line
    assert len(named) == 4 and set(cut) == {"results", "samples"}
    # Then there is room again.
    run = commands.run(folder, *COMMAND, environment=data)
    assert run.code == 0 and not list(folder.rglob("partial")), run.output
    options = ["--no-figures", "--no-intervals", "--quiet", "--output", str(tmp_path / "board")]
    cli.main(["leaderboard", str(run.folder), *options])
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == cut.count("results")
    for note in notes:
        assert re.match("vlm-confidence: note: .*_results.json, line .*: not JSON", note)
        assert note.endswith("a later run beside it is whole, so that this one is left out")
    (newest, *_) = sorted(run.folder.rglob("*_results.json"), reverse=True)
    assert_near(json.loads(newest.read_text())["results"], values(whole)["results"])
    what = "no file may be larger than any of ten sizes; then the same command without a limit"
    line = re.sub(r"\d{8}_\d{6}", "DATE", re.sub(r"line \d+", "line N", line))
    happened("full disk at the end", what, f"exit 1, “{line}”; then the same values")
