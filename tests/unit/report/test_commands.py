"""The commands: what they write, say and exit with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from metrics.making import values
from msgspec.structs import replace

from report.synthetic import answers, captions, noise, questions, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.report import formats
from vlm_confidence_tasks.types import Variant

ANSWERS = answers(questions(10), [noise(0.3)])
OTHER_ANSWERS = answers(questions(10), [noise(0.3)], seed=1)
HEAVY = ["numpy", "scipy", "matplotlib", "torch", "datasets", "lmms_eval"]
SEEN = f"import sys; print([name for name in {HEAVY} if name in sys.modules])"
FAST = ["--workers", "1", "--quiet"]


def run(*arguments: object) -> int:
    """Run the command and return its exit code."""
    try:
        cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        if isinstance(stop.code, int):
            return stop.code
        print(stop.code, file=sys.stderr)
        return 1
    return 0


def test_leaderboard_writes_every_format(written: Path) -> None:
    files = sorted(str(f.relative_to(written)) for f in written.rglob("*") if f.is_file())
    assert [file for file in files if not file.startswith(("figures/", "tables/"))] == [
        "index.html",
        "leaderboard.csv",
        "leaderboard.json",
        "leaderboard.md",
        "leaderboard.tex",
        "models/org_tiny.html",
        "models/org_tiny_load_in_4bit_True.html",
        "models/org_tiny_load_in_8bit_True.html",
    ]


def test_bad_input_is_named_and_the_rest_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = {"torn": ANSWERS, "gone": ANSWERS, "whole": ANSWERS}
    write_run(tmp_path / "runs", tasks, args="pretrained=/x/m")
    write_run(tmp_path / "runs", {"whole": OTHER_ANSWERS}, args="pretrained=/y/m")
    (tmp_path / "empty").mkdir()
    (torn,) = tmp_path.rglob("*_torn.jsonl")
    torn.write_text("".join(torn.read_text().splitlines(keepends=True)[:3])[:-40])
    (gone,) = tmp_path.rglob("*_gone.jsonl")
    gone.unlink()
    folders = [tmp_path / "runs", tmp_path / "empty"]
    code = run("leaderboard", *folders, "--output", tmp_path / "board", *FAST)
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 1
    assert len(lines) == 4
    said = {
        "torn.jsonl, line 3: not JSON": str(torn),
        "no samples of gone": str(gone.parent),
        "no run in it": str(tmp_path / "empty"),
        "two models with one name, 'm'": "r",
    }
    for words, path in said.items():
        (line,) = (line for line in lines if words in line)
        assert line.startswith("vlm-confidence: error: /") and path in line
    leaderboard = json.loads((tmp_path / "board" / "leaderboard.json").read_text())
    assert sorted((e["model"], e["task"]) for e in leaderboard["entries"]) == [
        ("llava: pretrained=/x/m", "whole"),
        ("llava: pretrained=/y/m", "whole"),
    ]
    assert [f"vlm-confidence: error: {line}" for line in leaderboard["problems"]] == lines


def test_nothing_to_report_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("leaderboard", "figures", "claims"):
        assert run(command, tmp_path, "--output", tmp_path / "out", "--quiet") == 1
        assert "no run in it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_progress_unless_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs", {"t": ANSWERS})
    command = ["leaderboard", tmp_path / "runs", "--output", tmp_path / "out"]
    assert run(*command, "--no-figures", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert run(*command) == 0
    printed, bars = capsys.readouterr()
    assert printed == f"{tmp_path / 'out' / 'index.html'}\n"
    assert "Samples files: 100%" in bars and "Figures: 100%" in bars


def test_several_processes_give_the_same_files(runs: Path, written: Path, tmp_path: Path) -> None:
    options = ["--workers", "2", "--quiet"]
    assert run("leaderboard", runs, "--output", tmp_path, *options) == 0
    for file in written.rglob("*"):
        if file.is_file():
            assert (tmp_path / file.relative_to(written)).read_bytes() == file.read_bytes()


def test_without_intervals_the_values_are_the_same(
    runs: Path, leaderboard: dict, tmp_path: Path
) -> None:
    options = ["--no-intervals", "--no-figures", "--quiet", "--workers", "1"]
    assert run("leaderboard", runs, "--output", tmp_path, *options) == 0
    quick = json.loads((tmp_path / "leaderboard.json").read_text())
    assert quick["interval"] is None
    for one, other in zip(quick["entries"], leaderboard["entries"], strict=True):
        assert other["ranks"] and one["ranks"] == {}
        for name, number in one["metrics"].items():
            alone = {"value": number["value"], "low": None, "high": None, "influence": None}
            # The adjusted p is no interval.
            assert number == alone | {k: v for k, v in number.items() if k == "holm"}
            assert number["value"] == pytest.approx(other["metrics"][name]["value"], abs=1e-12)
        assert one["metrics"].keys() == other["metrics"].keys()


def test_figures_writes_png_svg_and_data(runs: Path, tmp_path: Path) -> None:
    task = tmp_path / "runs"
    shutil.copytree(next(path for path in runs.iterdir() if path.is_dir()), task)
    assert run("figures", task, "--output", tmp_path / "out", *FAST) == 0
    data = json.loads((tmp_path / "out" / "figures.json").read_text())
    names = {figure["name"] for figure in data}
    stems = {
        ending: {f.stem for f in (tmp_path / "out").glob(f"*.{ending}")}
        for ending in ("png", "svg")
    }
    assert stems == {"png": names, "svg": names} and len(names) > 10


def test_bad_numbers_and_metrics_that_no_run_has_are_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["leaderboard", runs, "--output", tmp_path, "--no-intervals", "--no-figures"]
    assert run(*command, "--quiet", "--metrics", "accuracy,drift_context") == 1
    assert "no metric 'drift_context' here; there are accuracy" in capsys.readouterr().err
    for workers in ("0", "-1", "2.5", "many"):
        assert run(*command, f"--workers={workers}") == 2
        assert f"at least 1, got {workers!r}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["speed", "ifr_speed", "iv_"])
def test_an_unknown_metric_is_refused_before_samples_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    write_run(tmp_path / "runs", {"t": ANSWERS})
    (samples,) = tmp_path.rglob("*.jsonl")
    samples.write_text("torn")
    command = ["leaderboard", tmp_path / "runs", "--output", tmp_path / "out", "--metrics", name]
    assert run(*command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"no metric {name!r} here; there are accuracy" in line
    assert not (tmp_path / "out").exists()


def test_a_family_of_a_users_own_has_its_flip_rates_in_every_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fog = Variant("fog", (("depth", 3),), family="fog")
    held = [answers(questions(30), [fog], seed=n) for n in (0, 1)]
    runs = [
        write_run(tmp_path / str(n), {"pope_fog": one}, args=f"pretrained=org/m{n}").parent
        for n, one in enumerate(held)
    ]
    rate = values([document for _, document in held[1]])["ifr_fog"]
    assert run("compare", *runs, "--json", "--quiet") == 0
    told = json.loads(capsys.readouterr().out)["differences"]
    (found,) = [one for one in told if one["metric"] == "ifr_fog"]
    assert found["b"] == pytest.approx(rate, abs=1e-12)
    options = ["--no-intervals", "--by", "metric", "--metrics", "accuracy,ifr_fog"]
    assert run("leaderboard", *runs, "--output", tmp_path / "board", *options, *FAST) == 0
    entries = json.loads((tmp_path / "board" / "leaderboard.json").read_text())["entries"]
    shown = {entry["model"]: entry["metrics"]["ifr_fog"]["value"] for entry in entries}
    assert shown["org/m1"] == pytest.approx(rate, abs=1e-12) and rate > 0
    page = (tmp_path / "board" / "leaderboard.md").read_text()
    assert "ifr\\_fog: share of fog images" in page


@pytest.mark.parametrize("command", ["leaderboard", "figures"])
def test_captions_are_reported_though_they_are_neither_right_nor_wrong(
    command: str, tmp_path: Path
) -> None:
    write_run(tmp_path, {f"caption_eps{e}": captions(questions(6), [noise(e)]) for e in (0.1, 0.3)})
    assert run(command, tmp_path, "--output", tmp_path / "out", *FAST) == 0
    if command == "figures":
        drawn = {file.stem for file in (tmp_path / "out").glob("*.svg")}
        assert drawn == {"entropy_caption", "defense_caption_eps0.1", "defense_caption_eps0.3"}


def test_recompute_of_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, {"t": ANSWERS, "u": answers(questions(8), [noise(0.1)])})
    files = sorted(tmp_path.rglob("*.jsonl"))
    alone = {}
    for file in files:
        assert run("recompute", file, "--json") == 0
        alone[str(file)] = json.loads(capsys.readouterr().out)
    assert run("recompute", *files, "--json") == 0
    assert json.loads(capsys.readouterr().out) == alone
    assert run("recompute", *files) == 0
    printed = capsys.readouterr().out
    for file, numbers in alone.items():
        assert f"{file}:\n" in printed and repr(numbers["ece"]) in printed


def test_recompute_of_samples_without_any_metric(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = dict.fromkeys(("entropy", "token_entropy", "logprob"))
    held = [
        (asked, replace(document, clean=replace(document.clean, **nothing)))
        for asked, document in captions(questions(3), [])
    ]
    file = write_run(tmp_path, {"t": held}).with_name("20260101_000000_samples_t.jsonl")
    assert run("recompute", file) == 1
    assert capsys.readouterr().err == (
        f"vlm-confidence: error: {file}: no metric can be computed from it\n"
    )


def test_a_missing_package_is_said_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for module in [name for name in sys.modules if name.startswith(f"{formats.__name__}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert run("figures", tmp_path, "--output", tmp_path) == 1
    assert capsys.readouterr().err == (
        "vlm-confidence: error: package jinja2 is missing: "
        "pip install 'vlm_confidence_tasks[report]'\n"
    )


def test_help_imports_nothing_that_takes_long() -> None:
    program = f"from vlm_confidence_tasks import cli\ntry: cli.main(['--help'])\nfinally: {SEEN}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
