"""Commands in forked processes, which start in seconds and can be killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import Run

SERVER = Path(__file__).with_name("forking.py")


@dataclass
class Child:
    """A command that runs."""

    process: int
    folder: Path
    log: Path
    server: subprocess.Popen

    def wait(self) -> Run:
        """Wait for its end; the code of a killed one is the negative signal."""
        self.server.stdin.write(json.dumps({"wait": self.process}) + "\n")
        code = os.waitstatus_to_exitcode(int(self.server.stdout.readline()))
        return Run(self.folder / "results", code, self.log.read_text())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.process, number)

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return Path(f"/proc/{self.process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"

    def wait_for_rows(self, count: int, patience: float = 200) -> None:
        """Wait until its journal holds so many rows, or it has ended."""
        deadline = time.monotonic() + patience
        while rows(self.folder) < count and time.monotonic() < deadline:
            try:
                if not self.is_running():
                    return
            except OSError:
                return
            time.sleep(0.003)


class Commands:
    """Starts commands."""

    def __init__(self, server: subprocess.Popen) -> None:
        self._server = server

    def start(
        self,
        folder: Path,
        *arguments: str,
        environment: Mapping[str, str] = {},
        log: str = "log",
        **limits: int,
    ) -> Child:
        """Start `lmms_eval` with arguments in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / log
        log.write_text("")
        order = {"arguments": arguments, "folder": str(folder), "log": str(log), **limits}
        self._server.stdin.write(json.dumps({**order, "environment": dict(environment)}) + "\n")
        return Child(int(self._server.stdout.readline()), folder, log, self._server)

    def run(self, folder: Path, *arguments: str, **options) -> Run:
        """Run it to its end."""
        return self.start(folder, *arguments, **options).wait()


@contextmanager
def serving() -> Iterator[Commands]:
    """Start the process that forks, and stop it after the block."""
    server = subprocess.Popen(
        [sys.executable, str(SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    )
    assert server.stdout.readline() == "ready\n"
    try:
        yield Commands(server)
    finally:
        server.stdin.close()
        server.wait()


def rows(folder: Path, cache: str = "cache") -> int:
    """Count the rows of all journals of a folder."""
    total = 0
    for path in (folder / cache).glob("vlm_confidence/*.sqlite"):
        try:
            file = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            total += file.execute("SELECT count(*) FROM answers").fetchone()[0]
            file.close()
        except sqlite3.Error:
            continue  # not made yet, or damaged on purpose
    return total


def values(run: Run) -> dict:
    """Return all that a run's results file says of its tasks, without when and how fast."""
    results = run.results
    kept = ("results", "configs", "versions", "n-shot", "n-samples", "higher_is_better")
    return {key: results[key] for key in kept}
