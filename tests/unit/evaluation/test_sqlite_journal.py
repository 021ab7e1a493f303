"""Rows come back whole or not at all, whatever happened to the file."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from harness.kept_runs import said
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlm_confidence_tasks.evaluation.response_cache.sqlite_journal import Entry, Journal

ROWS = 300


def entry(number: int) -> Entry:
    key = sha256(str(number).encode()).digest()
    return Entry(key, {}, key * (10 + number % 50))


ENTRIES = [entry(number) for number in range(ROWS)]


def fill(folder: Path, entries: Sequence[Entry], rank: int = 0) -> Path:
    journal = Journal(folder, rank)
    for start in range(0, len(entries), 10):
        journal.add(entries[start : start + 10])
    journal.close()
    return folder / f"{rank}.sqlite"


def found(folder: Path) -> list[Entry]:
    """Return what a new process gets of `ENTRIES`; it must be right, and may be less.

    A row that is read and is not whole is counted; one that cannot be read is warned of.
    """
    with said() as lines:
        journal = Journal(folder, 0)
    answers = [(e, journal.find(e.key, {})) for e in ENTRIES]
    journal.close()
    assert all(answer in (e.answer, None) for e, answer in answers)
    whole = [e for e, answer in answers if answer is not None]
    if 0 < len(whole) < ROWS:
        assert journal.damaged or "damaged" in lines[0]
    return whole


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("good"), ENTRIES)


def test_added_answers_are_found_by_every_rank(tmp_path: Path) -> None:
    fill(tmp_path, ENTRIES[:100])
    fill(tmp_path, ENTRIES[100:], rank=1)
    assert found(tmp_path) == ENTRIES
    assert sorted(path.name for path in tmp_path.glob("*.sqlite")) == ["0.sqlite", "1.sqlite"]


def test_a_row_must_have_all_required_measures(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    journal.add([Entry(b"key", {"options": ["red", "blue"]}, b"richer")])
    journal.close()
    journal = Journal(tmp_path, 0)
    assert journal.find(b"key", {}) == journal.find(b"key", {"options": ["red", "blue"]})
    assert journal.find(b"key", {"options": ["red"]}) is None
    assert journal.find(b"key", {"options": ["red", "blue"], "more": 1}) is None
    assert journal.find(b"other", {}) is None


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1))
def test_a_truncated_file(good: Path, tmp_path_factory, cut: float) -> None:
    folder, whole = tmp_path_factory.mktemp("truncated"), good.read_bytes()
    (folder / "0.sqlite").write_bytes(whole[: int(len(whole) * cut)])
    assert len(found(folder)) < ROWS or cut == 1
    fill(folder, ENTRIES)
    assert found(folder) == ENTRIES


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_flipped_bytes(good: Path, tmp_path_factory, data: st.DataObject) -> None:
    folder, torn = tmp_path_factory.mktemp("flipped"), bytearray(good.read_bytes())
    places = st.integers(0, len(torn) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=5)):
        torn[place] ^= data.draw(st.integers(1, 255))
    (folder / "0.sqlite").write_bytes(torn)
    found(folder)
    fill(folder, ENTRIES)
    assert found(folder) == ENTRIES


def test_a_flipped_byte_in_an_answer_is_counted(tmp_path: Path) -> None:
    file = fill(tmp_path, ENTRIES)
    torn = bytearray(file.read_bytes())
    torn[torn.index(ENTRIES[7].answer[:320]) + 100] ^= 1
    file.write_bytes(torn)
    journal = Journal(tmp_path, 0)
    assert journal.find(ENTRIES[7].key, {}) is None and journal.damaged == 1
    assert journal.find(ENTRIES[8].key, {}) == ENTRIES[8].answer
    journal.add([ENTRIES[7]])
    journal.close()
    journal = Journal(tmp_path, 0)
    assert journal.find(ENTRIES[7].key, {}) == ENTRIES[7].answer and journal.damaged == 0


def test_a_truncated_write_ahead_log_loses_complete_additions(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 0)
    for one in ENTRIES[:50]:
        journal.add([one])
    for name in ("0.sqlite", "0.sqlite-wal"):
        target = tmp_path / "copy" / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((tmp_path / name).read_bytes())
    journal.close()
    log = tmp_path / "copy" / "0.sqlite-wal"
    log.write_bytes(log.read_bytes()[:-5000])
    journal = Journal(tmp_path / "copy", 0)
    answers = [one for one in ENTRIES if journal.find(one.key, {})]
    journal.close()
    assert answers == ENTRIES[: len(answers)] and 25 < len(answers) < 50


def test_a_file_that_is_no_journal_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "0.sqlite").write_text("my notes\n" * 100)
    fill(tmp_path, ENTRIES[:10])
    assert (tmp_path / "0.sqlite").read_text() == "my notes\n" * 100


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with said() as lines:
        journal = Journal(tmp_path / "taken" / "journal", 0)
    journal.add(ENTRIES)
    assert all(journal.find(entry.key, {}) is None for entry in ENTRIES)
    assert "cannot be written" in lines[0] and "the run goes on" in lines[0]
