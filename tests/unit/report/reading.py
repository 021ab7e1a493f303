"""Reading the numbers of HTML pages back."""

from __future__ import annotations

import html.parser
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from vlm_confidence_tasks.report.leaderboard.tables import Table, build_tables, overview


class Reader(html.parser.HTMLParser):
    """Collects the tags with their attributes, and the texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: dict[str, list[dict[str, str | None]]] = defaultdict(list)
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag].append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def pages(folder: Path) -> dict[str, Reader]:
    """The pages in a folder, the leaderboard's first, then models and tables."""
    files = sorted(folder.rglob("*.html"), key=lambda file: (len(file.parts), file))
    return {str(file.relative_to(folder)): Reader(file.read_text()) for file in files}


Numbers = list[tuple[float, float | None, float | None]]


def cells(page: Reader) -> Numbers:
    """Value and interval of every cell of a page's tables, in their order."""
    names = "data-value", "data-low", "data-high"
    return [
        tuple(float(cell[name]) if name in cell else None for name in names)
        for cell in page.tags["td"]
        if "data-value" in cell
    ]


def cells_of(tables: Sequence[Table]) -> Numbers:
    """What `cells` gives for a page of these tables."""
    return [
        (cell.value, cell.low, cell.high)
        for table in tables
        for _, row in table.rows
        for cell in row
        if cell is not None
    ]


def cells_of_index(leaderboard: dict) -> Numbers:
    """What `cells` gives for the leaderboard's page: the overview, the runs' sizes."""
    sizes = [entry["n"][key] for entry in leaderboard["entries"] for key in ("documents", "images")]
    return cells_of(overview(leaderboard)) + [(size, None, None) for size in sizes]


def assert_tables_are_on_their_pages(shown: dict[str, Reader], leaderboard: dict) -> None:
    """Every table has its page, and the page its numbers."""
    tables = build_tables(leaderboard, "task")
    assert sorted(name for name in shown if name.startswith("tables/")) == sorted(
        f"tables/{table.name}.html" for table in tables
    )
    for table in tables:
        assert cells(shown[f"tables/{table.name}.html"]) == cells_of([table])
