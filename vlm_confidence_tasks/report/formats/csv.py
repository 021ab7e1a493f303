"""Tables as CSV: one block of rows a table, numbers in full."""

import csv
import io
from collections.abc import Iterator, Sequence

from vlm_confidence_tasks.report.leaderboard.tables import By, Cell, Table


def to_csv(tables: Sequence[Table], by: By) -> str:
    """Write all tables as one CSV file.

    A row is a model in a table; the first column names the table. Each column of a table
    becomes three: the value and, in `<name>_low` and `<name>_high`, its interval. One that holds
    an ECE has its floor in `<name>_floor`, one that holds a p the adjusted one in `<name>_holm`.
    """
    about = "metric" if by == "task" else "task"
    file = io.StringIO()
    names = [about, "model", *_columns(tables)]
    writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
    writer.writeheader()
    for table in tables:
        writer.writerows(_rows(table, about))
    return file.getvalue()


def _columns(tables: Sequence[Table]) -> list[str]:
    """Return the columns of numbers, each heading's together."""
    columns = {
        heading.name: dict.fromkeys(("", "_low", "_high"))
        for table in tables
        for heading in table.headings
    }
    for table in tables:
        for _, cells in table.rows:
            for heading, cell in zip(table.headings, cells, strict=True):
                columns[heading.name] |= dict.fromkeys(_numbers("", cell))
    # A floor may stand beside an ECE and in a column of its own, with one name.
    return list(dict.fromkeys(f"{name}{end}" for name, ends in columns.items() for end in ends))


def _rows(table: Table, about: str) -> Iterator[dict[str, str]]:
    for model, cells in table.rows:
        row = {about: table.name, "model": _inert(model)}
        for heading, cell in zip(table.headings, cells, strict=True):
            row.update(_numbers(heading.name, cell))
        yield row


def _numbers(name: str, cell: Cell | None) -> dict[str, str]:
    if cell is None:
        return {}
    found = {name: cell.value, f"{name}_low": cell.low, f"{name}_high": cell.high}
    others = {f"{name}_floor": cell.floor, f"{name}_holm": cell.holm}
    found |= {key: value for key, value in others.items() if value is not None}
    return {key: "" if value is None else repr(value) for key, value in found.items()}


def _inert(text: str) -> str:
    """Keep a spreadsheet from taking a model's name for a formula.

    >>> _inert("=1+1"), _inert("llava")
    ("'=1+1", 'llava')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
