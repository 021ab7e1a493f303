"""Results files with anything in any field: each is shown or named, and the rest is reported."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fuzz_targets.made_up import REMOVED, changed, places
from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.metrics import metrics_for

# What Python's own JSON cannot write stands in the text as a word.
RAW = {"DIGITS": "9" * 5000, "DEEP": "[" * 100_000 + "]" * 100_000}
VALUES = (
    *(REMOVED, None, True, 7, -2, 0.5, float("nan"), float("inf"), 10**400, 2**63, *RAW),
    *("", "a" * 400, "../../x", "a\0b", "a\nb", "\ud800", "=1+1", "<b>{{ 7*7 }}", "[1em] x"),
    *([], [[]], {}, {"a": {"b": [{}]}}, [7], {"metric": 7}),
)
KEYS = ("a" * 400, "../../x", "a/b", "", ".", "a\0b", "\ud800", "a\nb", "=1+1", "<b>", "t\u202e")
LISTED = ("accuracy", "ece", "ifr_noise")
# All runs have one file of samples, of which the first by name counts.
MODEL = "!/model"
DATE = "20260101_000000"


def write_text(file: Path, record: Any) -> None:
    text = json.dumps(record)
    for word, raw in RAW.items():
        text = text.replace(f'"{word}"', raw)
    file.write_text(text)


def nasty_records(record: dict) -> Iterator[dict]:
    """The record with every field replaced by every value, and the task under every name."""
    for place in places(record):
        for value in VALUES:
            yield changed(record, [(place, value)])
    for key in KEYS:
        renamed = json.loads(json.dumps(record))
        for part in ("results", "configs"):
            renamed[part] = {key: renamed[part]["t"]}
        yield renamed


def with_few_metrics(record: dict) -> None:
    numbers = record["results"]["t"]
    record["results"]["t"] = {
        key: value for key, value in numbers.items() if key.split(",")[0] in LISTED
    } | {"accuracy_stderr,none": "N/A"}
    record["configs"]["t"]["metric_list"] = [{"metric": name} for name in LISTED]
    record["configs"]["t"]["data"] = {"source": "sandbox", "documents": 540}
    record["configs"]["t"]["generation_kwargs"]["until"] = ["\n\n"]
    record["config"] |= {"offset": 0, "model_args": {"pretrained": MODEL}}


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one whole run and hundreds of changed ones, each with its samples."""
    folder = tmp_path_factory.mktemp("nasty")
    held = {"t": answers(questions(6), [noise(0.3)])}
    whole = write_run(folder, held, date=DATE, change=with_few_metrics)
    assert set(LISTED) <= set(metrics_for(["noise"]))
    record = json.loads(whole.read_text())
    samples = whole.with_name(f"{DATE}_samples_t.jsonl")
    for number, one in enumerate(nasty_records(record)):
        run = folder / f"run{number}"
        run.mkdir()
        config = one.get("config")
        if isinstance(config, dict) and config.get("model_args") == {"pretrained": MODEL}:
            config["model_args"] = {"pretrained": f"{MODEL}{number}"}
        write_text(run / f"{DATE}_results.json", one)
        for task in one["configs"] if isinstance(one.get("configs"), dict) else ():
            try:
                os.link(samples, run / f"{DATE}_samples_{task}.jsonl")
            except (OSError, ValueError):
                # No file can have this name.
                pass
    return folder


def board(folder: Path, output: Path, *options: str) -> tuple[int, dict]:
    with pytest.raises(SystemExit) as end:
        cli.main(["leaderboard", str(folder), "--output", str(output), "--quiet", *options])
    return end.value.code, json.loads((output / "leaderboard.json").read_text())


def test_every_run_is_shown_or_named_and_the_board_is_made(
    nasty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, record = board(nasty, tmp_path, "--no-intervals", "--no-figures", "--workers", "1")
    said = capsys.readouterr().err
    assert code == 1 and "Traceback" not in said
    shown = {entry["results"] for entry in (*record["entries"], *record["older"])}
    left_out = 0
    for file in nasty.rglob("*_results.json"):
        if str(file) not in shown:
            left_out += 1
            assert any(str(file.parent) in line for line in record["problems"]), file
    assert str(next(nasty.glob(f"*/{DATE}_results.json")).parent.parent) in said
    assert any(MODEL == entry["model"] for entry in record["entries"])
    print(len(shown), left_out)


def test_a_pipe_and_a_folder_are_named(tmp_path: Path) -> None:
    write_run(tmp_path, {"t": answers(questions(6), [noise(0.3)])})
    os.mkfifo(tmp_path / "pipe_results.json")
    (tmp_path / "folder_results.json").mkdir()
    code, record = board(tmp_path, tmp_path / "out", "--no-intervals", "--no-figures")
    assert code == 1 and len(record["entries"]) == 1
    assert record["problems"] == [
        f"{tmp_path / name}_results.json: is no regular file" for name in ("folder", "pipe")
    ]
    shutil.rmtree(tmp_path / "out")
