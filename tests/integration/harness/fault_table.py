"""The table of docs/faults.md: what tests of faults compare with, and write."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "faults.md"
WRITE = bool(os.environ.get("VLM_CONFIDENCE_WRITE_FAULTS"))
# In the order of the table.
FAULTS = (
    *("SIGKILL", "SIGTERM", "SIGINT", "two signals", "two runs at once"),
    *("truncated journal", "changed byte", "file of another kind"),
    *("full disk", "full disk at the end", "read-only folder", "weights that cannot be identified"),
    *("out of memory", "out of memory at batch size 1"),
    *("a document fails", "a document fails, allowed", "more fail than allowed"),
    *("a half-finished copy", "the same rows twice", "a text is missing", "no image"),
    *("an address for an image", "an image too large", "a value that is not finite"),
    *("an image of 16 bits", "a question too long"),
    *("a server fails for a while", "a server fails", "a server is down", "time-outs"),
    *("answers without log-probabilities", "numbers that are none", "fewer than asked for"),
    *("contradictory log-probabilities", "impossible tokens", "cut off, filtered, refused"),
    *("another model answers", "half a character"),
    *("no log-probabilities at all", "a server dies in the middle", "a version is not named"),
)


def plain(text: str) -> str:
    """Return what stays the same in every run of a message."""
    text = re.sub(r"/\S*?/(cache|data)\b", r"\1", " ".join(text.split()))
    text = re.sub(r"(generated again:) \d+", r"\1 N", text)
    text = re.sub(r"(reused|after|the) \d+ (of|answers)", r"\1 N \2", text)
    return re.sub(r"invalid page number \d+", "invalid page number N", text).replace("|", "\\|")


@pytest.fixture(scope="module")
def happened() -> Iterator[Callable[[str, str, str], None]]:
    """Compare a row of the table with what happened, or write it."""
    found: dict[str, str] = {}

    def happened(fault: str, done: str, message: str) -> None:
        found[fault] = f"| {fault} | {done} | {plain(message)} |"
        assert WRITE or found[fault] in PAGE.read_text().splitlines(), found[fault]

    yield happened
    if WRITE:
        before = PAGE.read_text().split("| fault |")[0]
        table = ["| fault | what was done | what happened |", "|---|---|---|"]
        rows = _rows() | found
        kept = [rows[fault] for fault in FAULTS if fault in rows]
        PAGE.write_text(before + "\n".join(table + kept) + "\n")


def _rows() -> dict[str, str]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return {line.split("|")[1].strip(): line for line in lines[1:]}


def listed() -> list[str]:
    """Return the faults that the page lists."""
    return list(_rows())
