"""Commands in forked processes, which start at once and can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import forking
from conftest import Run


class Child:
    """A command that runs."""

    def __init__(self, connection: socket.socket, folder: Path, log: Path) -> None:
        self.folder = folder
        self.log = log
        self._answers = connection.makefile()
        connection.close()
        self.process = int(self._answers.readline())

    def wait(self) -> Run:
        """Wait for its end; the code of a killed one is the negative signal."""
        with self._answers:
            code = os.waitstatus_to_exitcode(int(self._answers.readline()))
        return Run(self.folder / "results", code, self.log.read_text())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.process, number)

    def is_running(self) -> bool:
        """Whether it has not ended."""
        try:
            state = Path(f"/proc/{self.process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False
        return state != "Z"

    def wait_until(self, happened: Callable[[], bool], patience: float = 200) -> None:
        """Wait until something has happened, or the command has ended."""
        deadline = time.monotonic() + patience
        while not happened() and self.is_running() and time.monotonic() < deadline:
            time.sleep(0.003)

    def wait_for_rows(self, count: int) -> None:
        """Wait until its journal holds so many rows, or it has ended."""
        self.wait_until(lambda: rows(self.folder) >= count)

    def wait_for_words(self, words: str) -> None:
        """Wait until it has written these words, or it has ended."""
        self.wait_until(lambda: words in self.log.read_text())


@dataclass(frozen=True)
class Commands:
    """Starts `lmms_eval`."""

    def start(
        self,
        folder: Path,
        *arguments: str,
        environment: Mapping[str, str] = {},
        log: str = "log",
        **limits: int,
    ) -> Child:
        """Start it with arguments in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        order = {"name": "lmms_eval", "arguments": arguments, "folder": str(folder), **limits}
        order["environment"] = {**os.environ, **environment}
        with (folder / log).open("w") as stream, open(os.devnull) as nothing:
            output = stream.fileno()
            connection = forking.call(order, (nothing.fileno(), output, output))
        return Child(connection, folder, folder / log)

    def run(self, folder: Path, *arguments: str, **options) -> Run:
        """Run it to its end."""
        return self.start(folder, *arguments, **options).wait()

    def run_where_disk_is_full(
        self, folder: Path, *arguments: str, size: int, environment: Mapping[str, str] = {}
    ) -> Run:
        """Run it where no file can be larger; what it says goes through a pipe, and is whole."""
        order = {"name": "lmms_eval", "arguments": arguments, "folder": str(folder)}
        order |= {"environment": {**os.environ, **environment}, "largest_file": size}
        folder.mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        with open(os.devnull) as nothing:
            connection = forking.call(order, (nothing.fileno(), writing, writing))
        os.close(writing)
        child = Child(connection, folder, folder / "log")
        with open(reading) as said:
            child.log.write_text(said.read())
        return child.wait()

    def start_ranks(
        self, folder: Path, *arguments: str, environment: Mapping[str, str] = {}, ranks: int = 2
    ) -> list[Child]:
        """Start the processes of one distributed run as a launcher does, with a log each."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(ranks)}
        world["LOCAL_WORLD_SIZE"] = world["WORLD_SIZE"]
        return [
            self.start(
                folder,
                *arguments,
                environment={**environment, **world, "RANK": rank, "LOCAL_RANK": rank},
                log=f"rank{rank}.log",
            )
            for rank in map(str, range(ranks))
        ]


@contextmanager
def serving() -> Iterator[None]:
    """Have commands served in the block, to this process and to those that it starts."""
    with tempfile.TemporaryDirectory(prefix="vlm") as made, socket.socket(socket.AF_UNIX) as door:
        folder = Path(made)
        door.bind(str(folder / "door"))
        door.listen(64)
        (folder / "bin").mkdir()
        forking.write_commands(folder / "bin")
        server = subprocess.Popen(
            [sys.executable, forking.__file__, str(door.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[door.fileno()],
            # Ctrl-C is for pytest, which ends the server.
            start_new_session=True,
        )
        os.environ[forking.ADDRESS] = str(folder / "door")
        os.environ[forking.COMMANDS] = str(folder / "bin")
        try:
            yield
        finally:
            server.communicate()


def rows(folder: Path, cache: str = "cache") -> int:
    """Count the rows of all journals of a folder, in copies of them.

    The file that SQLite maps into memory beside a journal may be cut while its run starts, and a
    reader of it then dies of a bus error.
    """
    total = 0
    for path in (folder / cache).glob("vlm_confidence/*.sqlite"):
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / path.name
            try:
                for end in ("", "-wal"):
                    if end == "" or Path(f"{path}{end}").exists():
                        shutil.copy(f"{path}{end}", f"{copy}{end}")
                with closing(sqlite3.connect(copy)) as file:
                    total += file.execute("SELECT count(*) FROM answers").fetchone()[0]
            except (sqlite3.Error, FileNotFoundError):
                continue  # not made yet, or damaged on purpose
    return total


def values(run: Run) -> dict:
    """Return all that a run's results file says of its tasks, without when and how fast."""
    results = run.results
    kept = ("results", "configs", "versions", "n-shot", "n-samples", "higher_is_better")
    return {key: results[key] for key in kept}
