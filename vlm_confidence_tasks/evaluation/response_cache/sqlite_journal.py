"""Answers on disk as they come: one SQLite file a rank, read by all.

A row holds a key, what was captured with the answer, the answer itself as bytes and a
checksum of these. A file is only ever added to; SQLite's write-ahead log makes each
addition whole or absent, whenever the process is killed, and lets other processes read,
or even add, at the same time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from pathlib import Path
from urllib.parse import quote

from loguru import logger

SUFFIX = ".sqlite"
# AUTOINCREMENT keeps the highest id in a table of its own at the file's beginning: so it
# is known how far to look for rows behind a damaged page.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL,
    captured TEXT NOT NULL,
    answer BLOB NOT NULL,
    checksum BLOB NOT NULL
)
"""
_LATER = "SELECT id, key, captured, answer, checksum FROM answers WHERE id > ? ORDER BY id"
_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'answers'"
# Bytes of a row's key and checksum: so many rows can there be at most.
SMALLEST_ROW = 48
# Seconds to wait while another process adds to the same file.
_PATIENCE = 30.0

Captured = Mapping[str, object]


@dataclass(frozen=True)
class Entry:
    """An answer to be kept.

    Attributes:
        key: Digest of all that decides the answer.
        captured: What was measured beside the answer: name to what of it. An entry serves
            whoever wants any part of this.
        answer: The answer, packed.
    """

    key: bytes
    captured: Captured
    answer: bytes


@dataclass(frozen=True)
class _Place:
    """Where a row is."""

    file: sqlite3.Connection
    row: int
    captured: str


class Journal:
    """The journals of a folder: all of them are read, one is written.

    What is damaged is never used: a row is handed out only if its checksum fits. What
    cannot be read or written is said once, and the run goes on without it.

    Attributes:
        damaged: Number of rows whose checksum does not fit, less those that have been
            added again since.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        """Read the keys of every file and open this rank's own.

        Args:
            folder: Holds the files; made if it is not there.
            rank: Of this process.
        """
        self._folder = folder
        self._places: dict[bytes, list[_Place]] = {}
        self._open: list[sqlite3.Connection] = []
        self._torn: list[bytes] = []
        whole = {path for path in sorted(folder.glob(f"*{SUFFIX}")) if self._read(path)}
        self.damaged = sum(key not in self._places for key in self._torn)
        self._own = self._open_own(rank, whole)

    def __len__(self) -> int:
        """Return the number of keys that there are answers to."""
        return len(self._places)

    def close(self) -> None:
        """Close all files; the own one comes last, for it tidies up its log."""
        for file in self._open:
            file.close()

    def find(self, key: bytes, wanted: Captured) -> bytes | None:
        """Return the packed answer to a key, if there is a whole one with all that is wanted."""
        # The newest first: it may be there because an older one was damaged.
        for place in reversed(self._places.get(key, ())):
            captured = json.loads(place.captured)
            if any(captured.get(name) != value for name, value in wanted.items()):
                continue
            try:
                query = "SELECT answer, checksum FROM answers WHERE id = ?"
                row = place.file.execute(query, (place.row,)).fetchone()
            except sqlite3.DatabaseError:
                row = None
            if row is not None and row[1] == _checksum(key, place.captured, row[0]):
                answer: bytes = row[0]
                return answer
            self.damaged += 1
        return None

    def add(self, entries: Iterable[Entry]) -> None:
        """Keep answers: all of them, or none if the process ends meanwhile."""
        if self._own is None:
            return
        rows = [(e.key, json.dumps(e.captured, sort_keys=True), e.answer) for e in entries]
        try:
            with self._own:
                self._own.executemany(
                    "INSERT INTO answers (key, captured, answer, checksum) VALUES (?, ?, ?, ?)",
                    [(*row, _checksum(*row)) for row in rows],
                )
        except sqlite3.Error as error:
            self._own = None
            logger.warning(
                f"{self._own_path}: cannot be written ({error}); the run goes on, but answers from "
                "here on are not kept and will be asked again"
            )

    def _open_own(self, rank: int, whole: Collection[Path]) -> sqlite3.Connection | None:
        """Open the first of this rank's files that can be added to, or a new one."""
        for number in count():
            path = self._folder / f"{rank}{f'-{number}' if number else ''}{SUFFIX}"
            is_new = not path.exists()
            if not is_new and path not in whole:
                continue
            self._own_path = path
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                return self._writer(path)
            except (OSError, sqlite3.Error) as error:
                # Damage can show itself only now; but where no new file can be made, none can.
                if is_new:
                    logger.warning(
                        f"{path}: cannot be written ({error}); the run goes on, but its answers "
                        "are not kept and will be asked again"
                    )
                    return None
        raise AssertionError("count() has no end")

    def _writer(self, path: Path) -> sqlite3.Connection:
        """Open a file to add to it.

        Raises:
            sqlite3.Error: It cannot be written.
        """
        own = sqlite3.connect(path, timeout=_PATIENCE)
        self._open.append(own)
        own.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last additions, never the file; a kill costs nothing.
        own.execute("PRAGMA synchronous = NORMAL")
        with own:
            own.execute(_SCHEMA)
        # A damaged header can make a file one to be read only, which shows no earlier.
        with own:
            own.execute("DELETE FROM answers WHERE id < 0")
        return own

    def _read(self, path: Path) -> bool:
        """Note the keys of a file; False if not all of it could be read."""
        found = 0
        problem: object = None
        try:
            file = _reader(path)
            self._open.append(file)
            for row, key, captured in _rows(file, _size(path)):
                if isinstance(row, sqlite3.Error):
                    problem = row
                elif captured is None:
                    self._torn.append(key)
                else:
                    self._places.setdefault(key, []).append(_Place(file, row, captured))
                    found += 1
        except (sqlite3.Error, OSError) as error:
            problem = error
        if problem is not None:
            logger.warning(
                f"{path}: damaged ({problem}); the {found} answers in it that can be found are "
                "used if they are whole, others are asked again; nothing is added to it"
            )
        return problem is None


def _size(path: Path) -> int:
    """Return the bytes of a file and of the log beside it."""
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _checksum(key: bytes, captured: str, answer: bytes) -> bytes:
    """Digest a row, so that a changed byte anywhere in it is noticed."""
    digest = blake2b(key, digest_size=16)
    digest.update(captured.encode())
    digest.update(answer)
    return digest.digest()


def _reader(path: Path) -> sqlite3.Connection:
    """Open a file to read it only, in a folder that may be read-only too.

    Raises:
        sqlite3.Error: It cannot be opened, or is no journal.
    """
    failure: sqlite3.Error | None = None
    # Without a log beside it, a file in a folder that cannot be written must be opened as
    # one that nobody changes.
    for how in ("mode=ro", "mode=ro&immutable=1"):
        file = sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=_PATIENCE)
        try:
            # Lets SQLite look into a file that is shorter than its header says.
            file.execute("PRAGMA writable_schema = ON")
            file.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            file.close()
            failure = failure or error
        else:
            return file
    raise failure or sqlite3.OperationalError("cannot be opened")


Found = tuple[int | sqlite3.Error, bytes, str | None]


def _rows(file: sqlite3.Connection, size: int) -> Iterator[Found]:
    """Yield id, key and captured of each row; for those that cannot be read, the error.

    `captured` is None where the checksum does not fit.

    Args:
        file: The file.
        size: Of it in bytes.

    Raises:
        sqlite3.Error: Not even the number of rows can be read.
    """
    tables = file.execute("SELECT count(*) FROM sqlite_master WHERE name = 'answers'").fetchone()
    if tables[0] == 0:
        return
    if (problem := _check(file)) is not None:
        yield problem, b"", ""
    at, last = 0, min((file.execute(_LAST).fetchone() or (0,))[0], size // SMALLEST_ROW)
    while at < last:
        try:
            with closing(file.execute(_LATER, (at,))) as rows:
                for row, key, captured, answer, checksum in rows:
                    if row <= at:
                        raise sqlite3.DatabaseError("rows out of order")
                    at = row
                    whole = _is_whole(key, captured, answer, checksum)
                    yield row, key if isinstance(key, bytes) else b"", captured if whole else None
            return
        except sqlite3.Error as error:
            at += 1
            yield error, b"", ""


def _is_whole(key: object, captured: object, answer: object, checksum: object) -> bool:
    """Whether a row is as it was written; damage can change even the types in it."""
    if not (isinstance(key, bytes) and isinstance(captured, str) and isinstance(answer, bytes)):
        return False
    return checksum == _checksum(key, captured, answer)


def _check(file: sqlite3.Connection) -> sqlite3.Error | None:
    """Let SQLite check the file's structure."""
    try:
        (line,) = file.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return error
    return None if line == "ok" else sqlite3.DatabaseError(" ".join(str(line).split()))
