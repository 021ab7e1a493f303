"""The command: which runs it takes, what it says of what is missing, and its pages."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from report.claimed import entropies, invariance, stated, write
from report.reading import Reader
from report.test_claims import ABSENT, SUPPORTED, judged, of_claim
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.report.claims.claims import CLAIMS, EPSILONS, FEWEST_SIZES
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs

NASTY = "org/<script>alert(1)</script>|x_"


def steady(**models: float) -> dict[str, dict]:
    return {name: {"pope_invariance": invariance({"rotation": r})} for name, r in models.items()}


def write_all(folder: Path, made: dict[str, dict]) -> Path:
    for name, tasks in made.items():
        write(folder / "runs", tasks, name)
    return folder


def error(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit) as ended:
        judged(folder, *options)
    return capsys.readouterr().err or str(ended.value)


def test_what_is_missing_is_said_with_the_command_that_measures_it(tmp_path: Path) -> None:
    some = {task: held for task, held in noisy().items() if task != "caption_eps0.2"}
    write(tmp_path / "runs", some, "org/a b")
    record = judged(tmp_path)
    (first,) = of_claim(record, 1)
    assert first["verdict"] == ABSENT
    assert [part["finding"] for part in first["parts"]] == ["holds", "holds", None]
    assert first["parts"][2]["missing"] == "no run of caption_eps0.2"
    (command,) = first["commands"]
    words = shlex.split(command)
    assert words[:3] == ["lmms_eval", "--model", "llava"]
    assert words[words.index("--model_args") + 1] == "pretrained=org/a b"
    assert words[words.index("--tasks") + 1] == "caption_eps0.2"
    assert "--log_samples" in words
    for number in (2, 4, 5, 6, 7, 8, 9):
        (said,) = of_claim(record, number)
        assert said["verdict"] == ABSENT and said["commands"]
        asked = {t for c in said["commands"] for t in shlex.split(c)[-4].split(",")}
        assert asked == {task for part in CLAIMS[number - 1].parts for task in part.tasks}


def noisy(change: float = -0.5) -> dict:
    return dict(entropies({epsilon: change * epsilon for epsilon in EPSILONS}, 0.1))


def test_a_part_whose_numbers_no_engine_gave_is_not_measured(tmp_path: Path) -> None:
    write(tmp_path / "runs", {"pope_verbal3": stated(0.5, 0.1, 0.1), **steady_one()})
    (said,) = of_claim(judged(tmp_path), 4)
    assert said["verdict"] == ABSENT
    assert said["parts"][0]["missing"] == "its runs hold no such numbers"


def two_steady() -> dict[str, dict]:
    return steady(a=0.2, b=0.3)


def steady_one() -> dict:
    return {"pope_invariance": invariance({"rotation": 0.2})}


def test_more_models_make_every_interval_wider(tmp_path: Path) -> None:
    write(tmp_path / "one" / "runs", noisy(), "org/a")
    alone = of_claim(judged(tmp_path / "one"), 3)[0]["parts"][0]
    for name, change in (("org/a", -0.5), ("org/b", -0.45)):
        write(tmp_path / "two" / "runs", noisy(change), name)
    record = judged(tmp_path / "two")
    beside = of_claim(record, 3)[0]["parts"][0]
    assert record["tests"] == 10 and beside["level"] > alone["level"]
    assert beside["low"] < alone["low"] < alone["effect"] < alone["high"] < beside["high"]
    assert beside["low_95"] == alone["low_95"]


def test_sizes_are_read_from_names_or_given(tmp_path: Path) -> None:
    made = steady(**{"org/m-1b": 0.1, "org/m-2b": 0.3, "org/m-4b": 0.5, "org/other": 0.51})
    write_all(tmp_path, made)
    (named,) = of_claim(judged(tmp_path), 6)
    assert named["subject"] == "org/m-1b, org/m-2b, org/m-4b" and named["verdict"] == SUPPORTED
    # Backwards: the largest flips least.
    sizes = ["org/m-1b=4B", "org/m-2b=2000M", "org/other=1000000000"]
    given = judged(tmp_path, "--sizes", *sizes)
    first, *_ = of_claim(given, 6)
    assert first["subject"] == "org/other, org/m-2b, org/m-1b"
    assert first["parts"][0]["effect"] == pytest.approx(-0.2, abs=0.01)


def test_trainings_of_one_size_are_no_sizes(tmp_path: Path) -> None:
    write_all(tmp_path, steady(a=0.1, b=0.2, c=0.3))
    sizes = ["--sizes", "a=235296", "b=235424", "c=788544"]
    (said,) = of_claim(judged(tmp_path, *sizes), 6)
    assert said["verdict"] == ABSENT
    assert said["parts"][0]["missing"] == f"2 sizes of a family, {FEWEST_SIZES} are needed"


def test_what_sets_runs_apart_is_noted(tmp_path: Path) -> None:
    _, second = (write(tmp_path / "runs", made, name) for name, made in two_steady().items())
    assert judged(tmp_path)["notes"] == []
    changed = json.loads(second.read_text())
    changed["config"]["limit"] = 4
    changed["configs"]["pope_invariance"]["vlm_confidence_tasks"] = "<0.9>"
    second.write_text(json.dumps(changed))
    assert judged(tmp_path)["notes"] == [
        "b, pope_invariance: --limit 4: part of the data only",
        "pope_invariance: vlm_confidence_tasks differs: 1.0 (a); <0.9> (b)",
    ]
    assert "part of the data only" in (tmp_path / "out" / "claims.md").read_text()
    assert "differs: 1.0 (a); &lt;0.9&gt; (b)" in (tmp_path / "out" / "claims.html").read_text()


def test_of_several_runs_the_newest_of_all_documents_counts_and_the_others_are_named(
    tmp_path: Path,
) -> None:
    dates = [f"2026010{day}_000000" for day in (1, 2, 3, 4)]
    files = [write(tmp_path / "runs", steady_one(), date=date) for date in dates]
    # The last one is a smoke run.
    smoke = json.loads(files[3].read_text())
    smoke["config"]["limit"] = 4
    files[3].write_text(json.dumps(smoke))
    record = judged(tmp_path)
    others = ", ".join(map(str, (files[0], files[1], files[3])))
    note = f"{files[2]} counts, the newest of all documents; not {others}"
    assert record["notes"] == [f"org/model, pope_invariance: {note}"]
    assert [run["counts"] for run in record["runs"]] == [False, False, True, False]
    assert files[0].name in (tmp_path / "out" / "claims.md").read_text().replace("\\", "")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--before", "org/model"], "--before and --after go together"),
        (["--before", "org/model", "--after", "none"], "no model 'none' here; there are org/model"),
        (["--sizes", "none=7B"], "--sizes, --before, --after: no model 'none' here"),
        (["--before", "org/model", "--after", "org/model"], "name one model, 'org/model'"),
        (["--sizes", "org/model=1B", "org/model=2B"], "--sizes: org/model is given twice"),
        (
            ["--sizes", "org/model=1B", "--sizes", "org/model=1B"],
            "--sizes: org/model is in two families",
        ),
        (["--sizes", "org/model"], "--sizes org/model: expected NAME=PARAMS"),
        (["--sizes", "org/model=big"], "--sizes org/model=big: expected NAME=PARAMS"),
        (["--sizes", "org/model=0"], "--sizes org/model=0: expected NAME=PARAMS"),
        (["--sizes", f"org/model={'9' * 300}B"], "9B: expected NAME=PARAMS"),
        (["--sizes", "org/model=\uff17B"], "--sizes org/model=\uff17B: expected NAME=PARAMS"),
    ],
)
def test_bad_options_are_one_line(
    options: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "runs", steady_one())
    line = error(tmp_path, capsys, *options)
    assert named in line and len(line.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inside", ["", "/deeper"])
@pytest.mark.parametrize("command", ["claims", "leaderboard", "figures"])
def test_an_output_that_is_a_file_is_refused_before_anything_is_computed(
    tmp_path: Path, command: str, inside: str
) -> None:
    write(tmp_path / "runs", steady_one())
    (tmp_path / "taken").write_text("mine")
    output = f"{tmp_path}/taken{inside}"
    with pytest.raises(SystemExit, match=f"--output {output}: {tmp_path}/taken is a file; give a "):
        cli.main([command, str(tmp_path / "runs"), "--output", output])
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize(
    ("command", "page"), [("claims", "claims.md"), ("leaderboard", "index.html")]
)
def test_a_folder_in_a_pages_place_is_refused_before_anything_is_computed(
    tmp_path: Path, command: str, page: str
) -> None:
    write(tmp_path / "runs", steady_one())
    output = tmp_path / "out"
    (output / page).mkdir(parents=True)
    with pytest.raises(SystemExit, match=f"--output {output}: {output}/{page} is no file; give "):
        cli.main([command, str(tmp_path / "runs"), "--output", str(output)])
    assert [path.name for path in output.iterdir()] == [page]


def test_a_torn_file_is_a_problem_and_the_rest_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write(tmp_path / "runs", noisy(), trap=(-0.1, 0.05))
    (torn,) = results.parent.glob("*_samples_caption_trap_clamponly.jsonl")
    torn.write_text('{"doc_id": 0, "trap_ent')
    line = error(tmp_path, capsys)
    assert str(torn) in line and "line 1: not JSON" in line
    record = json.loads((tmp_path / "out" / "claims.json").read_text())
    (said,) = of_claim(record, 2)
    assert said["verdict"] == ABSENT and not said["commands"]
    reason = "the samples of caption_trap_clamponly cannot be read"
    assert said["parts"][0]["missing"] == reason
    assert of_claim(record, 1)[0]["verdict"] == SUPPORTED
    assert str(torn) in record["problems"][0]


def test_a_trap_task_is_no_entry_of_a_leaderboard(tmp_path: Path) -> None:
    write(tmp_path, steady_one(), trap=(-0.1, 0.05))
    problems = Problems()
    found = {traps: find_runs([tmp_path], problems, traps) for traps in (False, True)}
    assert [run.task for run in found[False]] == ["pope_invariance"]
    assert [run.task for run in found[True]] == ["pope_invariance", "caption_trap_clamponly"]
    assert not problems.lines


def test_pages_show_what_the_json_holds_and_nothing_acts(tmp_path: Path) -> None:
    write(tmp_path / "runs", noisy(), NASTY, trap=(-0.1, 0.05))
    record = judged(tmp_path)
    page = Reader((tmp_path / "out" / "claims.html").read_text())
    # The page's own script alone.
    assert len(page.tags["script"]) == 1
    shown = " ".join(page.text)
    assert NASTY in shown
    for said in record["verdicts"]:
        assert said["verdict"] in shown
        assert all(command in shown for command in said["commands"])
    effect = of_claim(record, 2)[0]["parts"][0]["effect"]
    assert f"{effect:.3f}".replace("-", "−") in shown
    markdown = (tmp_path / "out" / "claims.md").read_text()
    outside = re.sub(r"```sh\n.*?```", "", markdown, flags=re.S)
    assert "<script>" not in outside
    for line in outside.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (7, 8)


def test_a_name_that_ends_a_block_does_not(tmp_path: Path) -> None:
    name = "m`\n```\n# owned\n````\n"
    write(tmp_path / "runs", steady_one(), name)
    judged(tmp_path)
    text = (tmp_path / "out" / "claims.md").read_text()
    assert re.search(r"^`{5}sh\n.*^# owned$", text, flags=re.S | re.M)
    outside = re.sub(r"^(`{3,})sh\n.*?^\1$", "", text, flags=re.S | re.M)
    assert "\n# owned" not in outside
