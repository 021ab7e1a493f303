"""A short run of scripts/fuzz.py, and that it would find something."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from vlm_confidence_tasks.report.inputs import samples

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz.py"
spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_nothing_but_answers_and_clear_errors(name: str) -> None:
    assert fuzz.fuzz(name, seconds=0, examples=60) >= 60


def test_a_reader_that_does_not_check_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # One of the rows that the fuzz makes; by chance it takes minutes to come to it.
    row = fuzz.changed([(("readouts", 0, "probs", "Yes"), fuzz.REMOVED)])
    data = fuzz.json.dumps(row).encode()
    fuzz.check_samples(data)
    monkeypatch.setattr(samples, "check_agreement", lambda record: None)
    with pytest.raises(KeyError):
        fuzz.check_samples(data)


def test_documents_that_failed_are_left_out(tmp_path: Path) -> None:
    failed = {**fuzz.row(), "readouts": [], "failed": "task x, document 1: boom"}
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(fuzz.json.dumps(row) for row in (fuzz.row(), failed)))
    assert len(samples.read_samples(path).samples) == 1
    path.write_text(fuzz.json.dumps(failed))
    with pytest.raises(samples.SamplesError, match="every document in it failed"):
        samples.read_samples(path)
