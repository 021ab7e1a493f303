"""What was wrong with the input: collected, so that the rest is still reported."""

import sys
from pathlib import Path


class ReportError(ValueError):
    """A file cannot be used; the message names it, and the line where there is one."""


class Problems:
    """Collects what was wrong, in the order in which it was found, each once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lines: dict[str, None] = {}
        self._notes: dict[str, None] = {}

    def note(self, line: str) -> None:
        """Note what is to be known and is no problem."""
        self._notes[" ".join(line.split())] = None

    def add(self, where: Path | str, what: str) -> None:
        """Note a problem with a file or folder."""
        self.add_line(f"{where}: {what}")

    def add_line(self, line: str) -> None:
        """Note a problem that names its file already."""
        self._lines[" ".join(line.split())] = None

    @property
    def lines(self) -> list[str]:
        """The problems, one line each."""
        return list(self._lines)

    def exit_code(self) -> int:
        """Print notes and problems to standard error; 1 if there are problems, else 0."""
        for line in self._notes:
            print(f"vlm-confidence: note: {line}", file=sys.stderr)
        for line in self._lines:
            print(f"vlm-confidence: error: {line}", file=sys.stderr)
        return 1 if self._lines else 0
