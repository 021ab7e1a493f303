"""Tables as CSV: one block of rows a table, numbers in full."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from vlm_confidence_tasks.report.leaderboard.tables import By, Cell, Table


def to_csv(tables: Sequence[Table], by: By) -> str:
    """Write all tables as one CSV file.

    A row is a model in a table; the first column names the table. Each column of a table
    becomes three: the value and, in `<name>_low` and `<name>_high`, its interval.
    """
    about = "metric" if by == "task" else "task"
    names = list(dict.fromkeys(h.name for table in tables for h in table.headings))
    file = io.StringIO()
    ends = ("", "_low", "_high")
    writer = csv.DictWriter(
        file,
        [about, "model", *(f"{name}{end}" for name in names for end in ends)],
        restval="",
        lineterminator="\n",
    )
    writer.writeheader()
    for table in tables:
        writer.writerows(_rows(table, about))
    return file.getvalue()


def _rows(table: Table, about: str) -> Iterator[dict[str, str]]:
    for model, cells in table.rows:
        row = {about: table.name, "model": _inert(model)}
        for heading, cell in zip(table.headings, cells, strict=True):
            row.update(_numbers(heading.name, cell))
        yield row


def _numbers(name: str, cell: Cell | None) -> dict[str, str]:
    if cell is None:
        return {}
    ends = {f"{name}_low": cell.low, f"{name}_high": cell.high}
    return {name: repr(cell.value)} | {k: "" if v is None else repr(v) for k, v in ends.items()}


def _inert(text: str) -> str:
    """Keep a spreadsheet from taking a model's name for a formula.

    >>> _inert("=1+1"), _inert("llava")
    ("'=1+1", 'llava')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
