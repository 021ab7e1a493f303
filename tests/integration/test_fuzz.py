"""A short run of scripts/fuzz.py, and that it would find something."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st

import fuzz
import fuzz_targets
from fuzz_targets import samples as target
from fuzz_targets.made_up import REMOVED, changed
from vlm_confidence_tasks.report.inputs import samples


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_nothing_but_answers_and_clear_errors(name: str) -> None:
    assert fuzz.fuzz(name, seconds=0, examples=60) >= 60


def test_every_target_is_listed() -> None:
    files = {file.stem for file in Path(fuzz_targets.__path__[0]).glob("*.py")}
    assert files - {"__init__", "made_up"} == set(fuzz.TARGETS)


def test_a_reader_that_does_not_check_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # One of the rows that the fuzz makes; by chance it takes minutes to come to it.
    row = changed(target.row(), [(("readouts", 0, "probs", "Yes"), REMOVED)])
    data = json.dumps(row).encode()
    target.check(data)
    monkeypatch.setattr(samples, "check_agreement", lambda record: None)
    with pytest.raises(KeyError):
        target.check(data)


def test_what_is_found_is_shown_and_the_other_targets_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(number: int) -> None:
        assert number < 7

    bad = SimpleNamespace(INPUTS=(st.integers(),), check=check)
    good = SimpleNamespace(INPUTS=(st.none(),), check=lambda drawn: None)
    monkeypatch.setattr(fuzz, "TARGETS", {"bad": bad, "good": good})
    assert fuzz.main(["--minutes", "0"]) == 1
    printed = capsys.readouterr().out
    assert "bad: found" in printed and "drawn=(7,)" in printed
    assert "good: " in printed and "nothing found" in printed
    assert fuzz.main(["--minutes", "0", "--target", "good"]) == 0


def test_documents_that_failed_are_left_out(tmp_path: Path) -> None:
    failed = {**target.row(2), "readouts": [], "failed": "task x, document 1: boom"}
    path = tmp_path / "samples.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in (target.row(), failed)))
    assert len(samples.read_samples(path).samples) == 1
    path.write_text(json.dumps(failed))
    with pytest.raises(samples.SamplesError, match="every document in it failed"):
        samples.read_samples(path)
