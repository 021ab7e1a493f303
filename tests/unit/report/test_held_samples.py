"""A results file is held against the metrics that are computed again from its samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from report.claimed import TRAP, invariance, write
from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.report.inputs.held_samples import disagreement
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs
from vlm_confidence_tasks.report.leaderboard.summary import SummaryOptions, summarise

QUICK = SummaryOptions(intervals=False, curves=False, workers=1, quiet=True)

CHANGES = {
    "entropy": lambda answer: answer.update(entropy=answer["entropy"] + 1e-6),
    "confidence": lambda answer: answer.update(confidence=answer["confidence"] - 1e-6),
    "answer": lambda answer: answer.update(answer=None, confidence=None),
    "correct": lambda answer: answer.update(correct=not answer["correct"]),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("position", [0, 1])
def test_samples_that_are_not_the_results_own_are_left_out(
    tmp_path: Path, name: str, position: int
) -> None:
    write_run(tmp_path, {"t": answers(questions(30), [noise(0.3)])})
    (run,) = find_runs([tmp_path], Problems())
    summarise(run, QUICK)
    rows = [json.loads(line) for line in run.samples.read_text().splitlines()]
    row = next(row for row in rows if row["readouts"][position]["confidence"] is not None)
    CHANGES[name](row["readouts"][position])
    run.samples.write_text("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.raises(ValueError, match="not the samples of 20260101_000000_results.json") as e:
        summarise(run, QUICK)
    assert str(run.samples) in str(e.value)


@pytest.mark.parametrize("listed", [None, ["accuracy", "aurc"]])
def test_every_metric_that_a_run_lists_is_held_against_the_samples(
    tmp_path: Path, listed: list[str] | None
) -> None:
    def spoil(record: dict) -> None:
        # A number that the run does not list is none of its results.
        record["results"]["t"] |= {"aurc,none": 0.9, **({"ece,none": 0.9} if listed else {})}
        record["configs"]["t"]["metric_list"] = [{"metric": name} for name in listed or ()]

    write_run(tmp_path, {"t": answers(questions(30), [noise(0.3)])}, change=spoil)
    (run,) = find_runs([tmp_path], Problems())
    with pytest.raises(ValueError, match=r"aurc is 0.9 there, 0\.\d+ from the samples; t is left"):
        summarise(run, QUICK)


def test_what_an_earlier_release_computed_otherwise_is_not_held_against_the_samples(
    tmp_path: Path,
) -> None:
    def older(record: dict) -> None:
        record["results"]["t"] |= {"brier,none": 0.9, "coverage_90,none": 0.8}
        listed = [{"metric": name} for name in ("accuracy", "brier", "coverage_90")]
        record["configs"]["t"]["metric_list"] = listed

    write_run(tmp_path, {"t": answers(questions(30), [noise(0.3)])}, change=older)
    (run,) = find_runs([tmp_path], Problems())
    assert summarise(run, QUICK).numbers["brier"].value < 0.9


def test_a_metric_on_one_side_only_is_a_disagreement() -> None:
    assert disagreement({"ece": 0.1}, {}, ["ece"]) == "ece is 0.1 there, no number from the samples"
    assert disagreement({}, {"ece": 0.1, "iv": 0.2}, ["ece", "iv"]) == (
        "ece is no number there, 0.1 from the samples, and 1 more differ"
    )


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose samples were edited after it: one answer is another."""
    folder = tmp_path_factory.mktemp("edited")
    results = write(folder, {"pope_invariance": invariance({"rotation": 0.2})}, trap=(-0.1, 0.05))
    for samples, change in (("pope_invariance", other_answer), (TRAP, other_entropy)):
        file = results.with_name(f"20260101_000000_samples_{samples}.jsonl")
        first, *rest = file.read_text().splitlines(keepends=True)
        row = json.loads(first)
        change(row)
        file.write_text(json.dumps(row) + "\n" + "".join(rest))
    return results


def other_answer(row: dict) -> None:
    readout = row["readouts"][0]
    readout["answer"] = next(label for label in row["labels"] if label != readout["answer"])
    readout["correct"] = not readout["correct"]
    readout["confidence"] = readout["probs"][readout["answer"]]


def other_entropy(row: dict) -> None:
    row["trap_entropy"] += 0.1


SAMPLES = "20260101_000000_samples_pope_invariance.jsonl"
COMMANDS = {
    "leaderboard": ["{run}", "--output", "{out}", "--no-intervals", "--quiet"],
    "figures": ["{run}", "--output", "{out}", "--no-intervals", "--quiet"],
    "claims": ["{run}", "--output", "{out}", "--quiet"],
    "compare": ["{run}", "{run}", "--quiet"],
    "export": ["{run}", "--output", "{out}.parquet"],
    "recompute": [f"{{run}}/{SAMPLES}"],
    "recompute of results": ["{run}/20260101_000000_results.json"],
    "csp": ["data", "pope", "--data", "sandbox", "--masks", "sandbox", "--output", "{out}"]
    + ["--answers", f"{{run}}/{SAMPLES}"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_takes_samples_that_are_not_the_results_own(
    edited: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [text.format(run=edited.parent, out=tmp_path / "out") for text in COMMANDS[name]]
    with pytest.raises(SystemExit) as end:
        cli.main([name.split()[0], *given])
    said = capsys.readouterr()
    error = said.err if end.value.code == 1 else end.value.code
    wrong = sorted(error.strip().splitlines())
    samples = edited.with_name(SAMPLES)
    assert wrong[-1].startswith(
        f"vlm-confidence: error: {samples}: not the samples of {edited.name}: "
    )
    # A task of "The Confidence Trap" is read by the claims about it alone.
    assert len(wrong) == (2 if name == "claims" else 1) and said.out == ""
    if name == "claims":
        assert "trap_entropy is 0.9 there" in wrong[0]


def test_samples_alone_are_held_against_nothing_and_that_is_said(
    edited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / SAMPLES
    alone.write_text(edited.with_name(SAMPLES).read_text())
    cli.main(["recompute", str(alone)])
    said = capsys.readouterr()
    assert said.out.startswith("accuracy ")
    assert said.err.startswith(f"vlm-confidence: note: {alone}: ")
    results = tmp_path / "20260101_000000_results.json"
    results.write_text('{"results": 7}')
    with pytest.raises(SystemExit, match=f"{results}: not a results file of the harness"):
        cli.main(["recompute", str(alone)])


def test_recompute_of_a_results_file_is_of_all_its_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = answers(questions(8), [noise(0.3)])
    results = write_run(tmp_path, {"t": held, "u": held})
    cli.main(["recompute", "--json", str(results)])
    by_file = json.loads(capsys.readouterr().out)
    assert list(by_file) == [
        str(results.with_name(f"20260101_000000_samples_{task}.jsonl")) for task in "tu"
    ]
    results.with_name("20260101_000000_samples_t.jsonl").unlink()
    with pytest.raises(SystemExit):
        cli.main(["recompute", str(results)])
    said = capsys.readouterr()
    assert "no samples of t: no file" in said.err and said.out.startswith("accuracy ")


def test_recompute_says_what_is_of_a_part_of_the_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_run(tmp_path, {"t": answers(questions(12), [noise(0.3)])}, limit=12)
    (samples,) = results.parent.glob("*.jsonl")
    cli.main(["recompute", "--json", str(samples)])
    note = f"vlm-confidence: note: {samples}: --limit 12: part of the data only\n"
    assert capsys.readouterr().err == note
