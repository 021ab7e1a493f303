"""Tables as Markdown, with the notes that belong to them."""

import re
from collections.abc import Iterator, Sequence

from vlm_confidence_tasks.metrics import METHODS
from vlm_confidence_tasks.report.formats.text import one_line
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard
from vlm_confidence_tasks.report.leaderboard.tables import Cell, Heading, Table, adjusted

RANKS = (
    "Beside a number with a direction stands the rank that the model may have in the column: "
    "95% intervals of the ranks of all its models together, from differences over the same images "
    "(Mogstad et al. 2024). Bold: rank 1 and no other."
)


def to_markdown(leaderboard: Leaderboard, tables: Sequence[Table]) -> str:
    """Write the whole leaderboard as one Markdown page."""
    where = "All numbers are in `leaderboard.json`."
    parts = ["# Leaderboard", f"{legend(leaderboard)} {where}"]
    for table in tables:
        parts += [f"## {safe(table.title)}", *([safe(table.caption)] if table.caption else [])]
        parts += ["\n".join(_lines(table)), *_notes(table.headings)]
    parts += _list("Failed documents, in no number", failures(leaderboard))
    parts += _list("Replaced runs, not shown", [older_run(run) for run in leaderboard["older"]])
    parts += _list("Problems", leaderboard["problems"])
    return "\n\n".join(parts) + "\n"


def legend(leaderboard: Leaderboard) -> str:
    """Say how to read a table's cells."""
    directions = "↑ higher is better, ↓ lower is better."
    of_p = f"; beside a p {adjusted(leaderboard)}" * bool(leaderboard["tests"])
    beside = f"Beside an ECE stands its floor, what a perfectly calibrated model would show{of_p}."
    if leaderboard["interval"] is None:
        return f"{directions} Intervals were not computed. {beside}"
    return f"{directions} Brackets hold 95% intervals over images: {METHODS}. {RANKS} {beside}"


def failures(leaderboard: Leaderboard) -> list[str]:
    """Say of each run that could not measure all of its documents how many it could not."""
    return [
        f"{entry['model']}, {entry['column']}: "
        f"{entry['n']['failed']} of {entry['n']['failed'] + entry['n']['documents']}"
        for entry in leaderboard["entries"]
        if entry["n"]["failed"]
    ]


def older_run(run: Leaderboard) -> str:
    """Describe a run that another one replaces."""
    return f"{run['model']}, {run['task']}, {run['date']}: {run['results']}"


def _lines(table: Table) -> Iterator[str]:
    yield line(["model", *(safe(heading.text) for heading in table.headings)])
    yield line(["---", *("---:" for _ in table.headings)])
    for model, cells in table.rows:
        yield line([safe(model), *(_cell(cell) for cell in cells)])


def line(cells: Sequence[str]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    value = f"**{cell.text}**" if cell.best else cell.text
    return " ".join(part for part in (value, cell.beside, cell.interval) if part)


def safe(text: str) -> str:
    r"""Take away what Markdown or HTML would act on.

    >>> safe("a|b<script>_x_")
    'a\\|b\\<script\\>\\_x\\_'
    """
    return re.sub(r"([\\`*_{}\[\]<>|~#&$])", r"\\\1", one_line(text))


def _notes(headings: Sequence[Heading]) -> list[str]:
    notes = [f"- {safe(h.name)}: {safe(h.note)}" for h in headings if h.note]
    return ["\n".join(notes)] if notes else []


def _list(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {_item(line)}" for line in lines)] if lines else []


def _item(text: str) -> str:
    """Take away what would begin a list in the item too."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", safe(text))
