"""Tables as CSV: one block of rows a table, numbers in full."""

import csv
import io
import re
from collections.abc import Iterator, Sequence

from vlm_confidence_tasks.report.formats.text import one_line
from vlm_confidence_tasks.report.leaderboard.tables import By, Cell, Table


def to_csv(tables: Sequence[Table], by: By) -> str:
    """Write all tables as one CSV file.

    A row is a model in a table; the first column names the table. Each column of a table
    becomes three: the value and, in `<name>_low` and `<name>_high`, its interval. One that holds
    an ECE has its floor in `<name>_floor`, one that holds a p the adjusted one in `<name>_holm`,
    one that holds a mean in `<name>_influence` the share of its variance that one image carries,
    one that is ranked in `<name>_rank_from` and `<name>_rank_to` the ranks that it may have.
    """
    about = "metric" if by == "task" else "task"
    file = io.StringIO()
    columns = _columns(tables)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([about, "model", *map(_name, columns)])
    for table in tables:
        for model, numbers in _rows(table):
            cells = [numbers.get(column, "") for column in columns]
            writer.writerow([_name(table.name), _name(model), *cells])
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


def _rows(table: Table) -> Iterator[tuple[str, dict[str, str]]]:
    for model, cells in table.rows:
        row: dict[str, str] = {}
        for heading, cell in zip(table.headings, cells, strict=True):
            row.update(_numbers(heading.name, cell))
        yield model, row


def _numbers(name: str, cell: Cell | None) -> dict[str, str]:
    if cell is None:
        return {}
    found = {name: cell.value, f"{name}_low": cell.low, f"{name}_high": cell.high}
    others = {f"{name}_{field}": getattr(cell, field) for field in ("floor", "holm", "influence")}
    others |= dict(zip((f"{name}_rank_from", f"{name}_rank_to"), cell.rank or (), strict=False))
    found |= {key: value for key, value in others.items() if value is not None}
    return {key: "" if value is None else repr(value) for key, value in found.items()}


def inert(text: str) -> str:
    """Keep a spreadsheet from taking a text for a formula.

    >>> inert("=1+1"), inert("-x"), inert("-1.5"), inert("llava")
    ("'=1+1", "'-x", '-1.5', 'llava')
    """
    return f"'{text}" if _FORMULA.match(text) else text


# A formula begins with one of these, in some programs also behind white space or in full width.
_FORMULA = re.compile(r"[\t\r\n]|\s*([=@＝＠]|[+＋\-－](?![0-9.]+([eE][+-]?[0-9]+)?\Z))")


def _name(text: str) -> str:
    return inert(one_line(text))
