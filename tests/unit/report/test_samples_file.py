"""Reading a samples file: what is in it, and where it says that a file is torn."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.report.inputs.samples import SamplesError, read_samples
from vlm_confidence_tasks.report.inputs.trap_samples import read_trap_samples
from vlm_confidence_tasks.types import Inside


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    write_run(tmp_path, {"t": answers(questions(5), [noise(0.1), noise(0.3)])})
    (file,) = tmp_path.rglob("*.jsonl")
    return file


def test_samples_are_what_the_file_holds(samples: Path) -> None:
    held = read_samples(samples)
    for line, sample in zip(samples.read_text().splitlines(), held.samples, strict=True):
        record = json.loads(line)
        assert sample.prompt == record["input"]
        written = json.loads(json.dumps(sample.to_dict()))
        assert written == {name: record[name] for name in written}


def test_every_field_of_a_readout_is_read(tmp_path: Path) -> None:
    """What only some tasks measure comes back as it was written."""
    numbers = {"context": 0.1, "vision": 0.3}
    spectrum = {"low": 1.0, "high": 0.0}
    prior = {"Yes": 0.5, "No": 0.5}
    inside = Inside(numbers, numbers, {}, 0.4, prior, 3.0, (0.7, 0.2), spectrum, {"answer": 0.6})
    more = {
        "entropy_low": 0.1,
        "entropy_high": 0.6,
        "verbal_text": "80%",
        "verbal_confidence": 0.8,
        "option_logprob": {"Yes": -0.1, "No": -2.0},
        "option_logprob_mean": {"Yes": -0.1, "No": -2.0},
        "inside": inside,
    }
    ((asked, document),) = answers(questions(1), [])
    clean = replace(document.clean, answer="Yes", confidence=0.5, answer_step=2, **more)
    write_run(tmp_path, {"t": [(asked, replace(document, clean=clean))]})
    (file,) = tmp_path.rglob("*.jsonl")
    assert read_samples(file).samples[0].clean == clean


def test_the_digest_is_of_questions_and_images_in_any_order(samples: Path) -> None:
    lines = samples.read_text().splitlines()
    before = read_samples(samples).digest
    samples.write_text("\n".join(reversed(lines)) + "\n")
    assert read_samples(samples).digest == before
    samples.write_text("\n".join(lines[1:]) + "\n")
    assert read_samples(samples).digest != before


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"image_id": "another"},
        {"readouts": [], "failed": "out of memory"},
    ],
)
def test_a_question_that_has_two_lines_is_refused_by_every_command(
    samples: Path, change: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = samples.read_text().splitlines()
    twice = json.loads(lines[1]) | change
    samples.write_text("\n".join([*lines, json.dumps(twice)]) + "\n")
    board = ["--no-intervals", "--no-figures", "--quiet", "--output", samples.parent / "board"]
    for command in (["recompute", samples], ["leaderboard", samples.parent, *board]):
        with pytest.raises(SystemExit) as stop:
            cli.main(list(map(str, command)))
        said = f"{stop.value.code}\n{capsys.readouterr().err}"
        assert f"{samples}, line 6: question 1 is there twice, in line 2 too" in said


def test_a_question_that_has_two_lines_of_the_trap(tmp_path: Path) -> None:
    rows = [{"doc_id": n, "trap_entropy_clean": 1.0, "trap_entropy": 2.0} for n in (4, 5, 4)]
    file = tmp_path / "trap.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.raises(SamplesError, match="line 3: question 4 is there twice, in line 1 too"):
        read_trap_samples(file)


@pytest.mark.parametrize(
    ("key", "other"),
    [("question_id", "x"), ("category", "x"), ("image_sha256", "x"), ("gold", "No")],
)
def test_the_digest_changes_with_the_question(samples: Path, key: str, other: str) -> None:
    before = read_samples(samples).digest
    first, *others = map(json.loads, samples.read_text().splitlines())
    holder = first["readouts"][0] if key == "image_sha256" else first
    holder[key] = other
    samples.write_text("\n".join(map(json.dumps, (first, *others))))
    assert read_samples(samples).digest != before


def test_a_models_answer_may_hold_what_ends_lines_elsewhere(samples: Path) -> None:
    text = "one\u2028two\u2029three\x85four"
    first, *others = map(json.loads, samples.read_text().splitlines())
    first["readouts"][0]["text"] = text
    lines = [json.dumps(row, ensure_ascii=False) for row in (first, *others)]
    samples.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert read_samples(samples).samples[0].clean.text == text


def torn(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2][:100]]


def foreign(lines: list[str]) -> list[str]:
    return [*lines[:2], json.dumps({"doc_id": 1, "resps": ["x"]})]


def with_row(**changes: object) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[:2], json.dumps(json.loads(lines[2]) | changes)]


def with_readout(**changes: object) -> Callable[[list[str]], list[str]]:
    def damage(lines: list[str]) -> list[str]:
        row = json.loads(lines[2])
        row["readouts"][1].update(changes)
        return [*lines[:2], json.dumps(row)]

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (torn, "not JSON"),
        (foreign, "is it from a task of this package?"),
        (with_row(readouts=[]), "no readouts"),
        (
            with_readout(variant="clean"),
            "its first readout, and no other, must be of the clean image",
        ),
        (with_row(gold="Maybe"), "gold 'Maybe' is not one of the labels"),
        (with_row(gold=3), "Expected `str | null`, got `int` - at `$.gold`"),
        (with_readout(entropy="high"), "$.readouts[1].entropy"),
        (with_readout(entropy=math.nan), "not JSON"),
        (with_readout(answer_mass=1.5), "Expected `float` <= 1.0 - at `$.readouts[1].answer_mass`"),
        (with_readout(probs={"Yes": -0.5, "No": 0.5}), "$.readouts[1].probs[...]"),
        (with_readout(probs={"Yes": 0.5}), "readout 1: probs has other keys than the labels"),
        (with_readout(probs=None), "readout 1: answer, probs and confidence do not fit together"),
        (with_readout(confidence_low=0.0), "probs and confidence do not fit together"),
        (with_readout(confidence_low=0.0, confidence_high=0.0), "do not fit together"),
        (with_readout(answer="Maybe"), "readout 1: answer is 'Maybe', which is none of the labels"),
        (with_readout(option_logprob={"Yes": -1, "No": -2}), "do not fit together"),
        (with_readout(inside={"drift": {}}), "missing required field `distance`"),
    ],
)
def test_a_bad_line_is_named(
    samples: Path, damage: Callable[[list[str]], list[str]], message: str
) -> None:
    samples.write_text("\n".join(damage(samples.read_text().splitlines())))
    with pytest.raises(SamplesError, match="line 3") as caught:
        read_samples(samples)
    assert str(samples) in str(caught.value) and message in str(caught.value)


def test_an_empty_or_missing_file_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    for file in (empty, tmp_path / "gone.jsonl"):
        with pytest.raises(SamplesError, match=str(file)):
            read_samples(file)


@pytest.mark.parametrize("read", [read_samples, read_trap_samples])
def test_what_has_no_end_is_not_read(tmp_path: Path, read: Callable[[Path], object]) -> None:
    pipe, device = tmp_path / "pipe.jsonl", tmp_path / "device.jsonl"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for file in (pipe, device, tmp_path):
        with pytest.raises(SamplesError, match=f"{file}: is no regular file"):
            read(file)


@pytest.mark.parametrize("ending", ["", "\n", "\n\n", "\n \n\t\r\n\n"])
def test_blank_lines_at_the_end_hold_nothing(samples: Path, ending: str) -> None:
    held = read_samples(samples)
    samples.write_text(samples.read_text().rstrip("\n") + ending)
    assert read_samples(samples) == held
    samples.write_text(samples.read_text().replace("\n", "\n\n", 1))
    with pytest.raises(SamplesError, match=f"{samples}, line 2: not JSON"):
        read_samples(samples)
