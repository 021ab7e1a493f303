"""The cache's storage: one append-only SQLite file per rank, read by all ranks.

A row holds a key, what was measured beside the answer, the serialised answer and a checksum
of these. SQLite's write-ahead log makes each addition atomic if the process is killed, and
lets other processes read and write at the same time.
"""

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
# AUTOINCREMENT stores the highest id in a separate table at the file's beginning, so that rows
# after a damaged page can be found.
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
# Bytes of a row's key and checksum, which bound the number of rows in a file.
SMALLEST_ROW = 48
# Seconds to wait while another process writes to the same file.
_TIMEOUT = 30.0

# What was measured beside an answer, by name.
Extras = Mapping[str, object]


@dataclass(frozen=True)
class Entry:
    """An answer to store.

    Attributes:
        key: Digest of everything that the answer depends on.
        captured: What was measured beside the answer, by name. The entry is found by
            requests that need any part of it.
    """

    key: bytes
    captured: Extras
    answer: bytes


@dataclass(frozen=True)
class _Location:
    """Location of a row."""

    file: sqlite3.Connection
    row: int
    captured: str


class Journal:
    """The journal files of a folder: all are read, one is written.

    A row is returned only if its checksum is correct. A file that cannot be read or written
    causes one warning, and the run continues without it.

    Attributes:
        damaged: Number of rows with a wrong checksum, without those that have been added
            again since.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        """Read the keys of every file in a folder, and open this rank's own file."""
        self._folder = folder
        self._locations: dict[bytes, list[_Location]] = {}
        self._open: list[sqlite3.Connection] = []
        self._damaged_keys: list[bytes] = []
        intact = {path for path in sorted(folder.glob(f"*{SUFFIX}")) if self._read(path)}
        self.damaged = sum(key not in self._locations for key in self._damaged_keys)
        self._own = self._open_own(rank, intact)

    def close(self) -> None:
        """Close all files; this rank's own last, which then merges its write-ahead log."""
        for file in self._open:
            file.close()

    def find(self, key: bytes, required: Extras) -> bytes | None:
        """Return the serialised answer to a key, if an intact row has all that is required."""
        # The newest first, which may replace an older damaged row.
        for location in reversed(self._locations.get(key, ())):
            captured = json.loads(location.captured)
            if any(captured.get(name) != value for name, value in required.items()):
                continue
            try:
                query = "SELECT answer, checksum FROM answers WHERE id = ?"
                row = location.file.execute(query, (location.row,)).fetchone()
            except sqlite3.DatabaseError:
                row = None
            if row is not None and row[1] == _checksum(key, location.captured, row[0]):
                answer: bytes = row[0]
                return answer
            self.damaged += 1
        return None

    def add(self, entries: Iterable[Entry]) -> None:
        """Store answers in one transaction: all of them, or none if the process is killed."""
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
                "here on are not cached and will be generated again"
            )

    def _open_own(self, rank: int, intact: Collection[Path]) -> sqlite3.Connection | None:
        """Open the first of this rank's files that can be written, or a new one."""
        for number in count():
            path = self._folder / f"{rank}{f'-{number}' if number else ''}{SUFFIX}"
            is_new = not path.exists()
            if not is_new and path not in intact:
                continue
            self._own_path = path
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                return self._writer(path)
            except (OSError, sqlite3.Error) as error:
                # A damaged file is skipped; if a new file cannot be created, none can.
                if is_new:
                    logger.warning(
                        f"{path}: cannot be written ({error}); the run goes on, but its answers "
                        "are not cached and will be generated again"
                    )
                    return None
        raise AssertionError("count() has no end")

    def _writer(self, path: Path) -> sqlite3.Connection:
        """Open a file for writing."""
        own = sqlite3.connect(path, timeout=_TIMEOUT)
        self._open.append(own)
        own.execute("PRAGMA journal_mode = WAL")
        # A power cut can lose the last additions, but not the file; a kill loses nothing.
        own.execute("PRAGMA synchronous = NORMAL")
        with own:
            own.execute(_SCHEMA)
        # A damaged header can make a file read-only, which only a write reveals.
        with own:
            own.execute("DELETE FROM answers WHERE id < 0")
        return own

    def _read(self, path: Path) -> bool:
        """Read the keys of a file; False if part of it cannot be read."""
        found = 0
        problem: object = None
        try:
            file = _reader(path)
            self._open.append(file)
            for row, key, captured in _rows(file, _size(path)):
                if isinstance(row, sqlite3.Error):
                    problem = row
                elif captured is None:
                    self._damaged_keys.append(key)
                else:
                    self._locations.setdefault(key, []).append(_Location(file, row, captured))
                    found += 1
        except (sqlite3.Error, OSError) as error:
            problem = error
        if problem is not None:
            logger.warning(
                f"{path}: damaged ({problem}); the {found} answers in it that can be found are "
                "used if they are whole, others are generated again; nothing is added to it"
            )
        return problem is None


def _size(path: Path) -> int:
    """Return the size in bytes of a file and its write-ahead log."""
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _checksum(key: bytes, captured: str, answer: bytes) -> bytes:
    """Digest a row, to detect changed bytes."""
    digest = blake2b(key, digest_size=16)
    digest.update(captured.encode())
    digest.update(answer)
    return digest.digest()


def _reader(path: Path) -> sqlite3.Connection:
    """Open a file read-only; its folder may be read-only too.

    Raises:
        sqlite3.Error: It cannot be opened, or is not a journal.
    """
    failure: sqlite3.Error | None = None
    # In a read-only folder, a file without a write-ahead log can only be opened as immutable.
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        file = sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=_TIMEOUT)
        try:
            # Lets SQLite read a file that is shorter than its header states.
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

    `captured` is None if the checksum is wrong. `size` is the file's, in bytes.

    Raises:
        sqlite3.Error: Not even the number of rows can be read.
    """
    tables = file.execute("SELECT count(*) FROM sqlite_master WHERE name = 'answers'").fetchone()
    if tables[0] == 0:
        return
    if (problem := _check(file)) is not None:
        yield problem, b"", ""
    current, last = 0, min((file.execute(_LAST).fetchone() or (0,))[0], size // SMALLEST_ROW)
    while current < last:
        try:
            with closing(file.execute(_LATER, (current,))) as rows:
                for row, key, captured, answer, checksum in rows:
                    if row <= current:
                        raise sqlite3.DatabaseError("rows out of order")
                    current = row
                    intact = _is_intact(key, captured, answer, checksum)
                    yield row, key if isinstance(key, bytes) else b"", captured if intact else None
            return
        except sqlite3.Error as error:
            current += 1
            yield error, b"", ""


def _is_intact(key: object, captured: object, answer: object, checksum: object) -> bool:
    """Whether a row is as it was written; damage can also change its types."""
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
