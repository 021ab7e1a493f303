"""The fast reader: what it keeps, and where it says that a file is torn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks.report.inputs.rows import read_rows
from vlm_confidence_tasks.report.inputs.samples import SamplesError, read_samples


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    write_run(tmp_path, {"t": answers(questions(5), [noise(0.1), noise(0.3)])})
    (file,) = tmp_path.rglob("*.jsonl")
    return file


def test_rows_hold_what_the_metrics_reader_reads(samples: Path) -> None:
    rows, documents = read_rows(samples), read_samples(samples)
    for row, document in zip(rows.rows, documents, strict=True):
        assert (row.image_id, row.gold) == (document.image_id, document.gold)
        for answer, readout in zip(row.readouts, (document.clean, *document.variants), strict=True):
            assert answer.as_variant() == readout.variant
            for name in ("text", "answer", "correct", "entropy", "confidence", "margin"):
                assert getattr(answer, name) == getattr(readout, name)


def test_the_digest_is_of_questions_and_images_in_any_order(samples: Path) -> None:
    lines = samples.read_text().splitlines()
    before = read_rows(samples).digest
    samples.write_text("\n".join(reversed(lines)) + "\n")
    assert read_rows(samples).digest == before
    samples.write_text("\n".join(lines[1:]) + "\n")
    assert read_rows(samples).digest != before


@pytest.mark.parametrize("key", ["question_id", "category", "image_sha256", "gold"])
def test_the_digest_changes_with_what_was_asked(samples: Path, key: str) -> None:
    before = read_rows(samples).digest
    first, *others = samples.read_text().splitlines()
    samples.write_text("\n".join([json.dumps(json.loads(first) | {key: "other"}), *others]))
    assert read_rows(samples).digest != before


def test_a_models_answer_may_hold_what_ends_lines_elsewhere(samples: Path) -> None:
    said = "one\u2028two\u2029three\x85four"
    first, *others = map(json.loads, samples.read_text().splitlines())
    first["readouts"][0]["text"] = said
    lines = [json.dumps(row, ensure_ascii=False) for row in (first, *others)]
    samples.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert read_rows(samples).rows[0].clean.text == read_samples(samples)[0].clean.text == said


def torn(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2][:100]]


def foreign(lines: list[str]) -> list[str]:
    return [*lines[:2], json.dumps({"doc_id": 1, "resps": ["x"]})]


def wrong_type(lines: list[str]) -> list[str]:
    row = json.loads(lines[2])
    row["readouts"][1]["entropy"] = "high"
    return [*lines[:2], json.dumps(row)]


def no_readouts(lines: list[str]) -> list[str]:
    return [*lines[:2], json.dumps(json.loads(lines[2]) | {"readouts": []})]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (torn, "not JSON"),
        (foreign, "is it from a task of this package?"),
        (wrong_type, "$.readouts[1].entropy"),
        (no_readouts, "no readouts"),
    ],
)
def test_a_bad_line_is_named(samples: Path, damage, said: str) -> None:
    samples.write_text("\n".join(damage(samples.read_text().splitlines())))
    with pytest.raises(SamplesError, match="line 3") as caught:
        read_rows(samples)
    assert str(samples) in str(caught.value) and said in str(caught.value)


def test_an_empty_or_missing_file_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    for file in (empty, tmp_path / "gone.jsonl"):
        with pytest.raises(SamplesError, match=str(file)):
            read_rows(file)
