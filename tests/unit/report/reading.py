"""Reading the numbers of HTML pages back."""

from __future__ import annotations

import html.parser
from collections import defaultdict
from pathlib import Path

from vlm_confidence_tasks.report.leaderboard.tables import build_tables, overview


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
    return {str(f.relative_to(folder)): Reader(f.read_text()) for f in folder.rglob("*.html")}


Numbers = list[tuple[float, float | None, float | None]]


def cells(page: Reader) -> Numbers:
    """Value and interval of every cell of a page's tables, in their order."""
    names = "data-value", "data-low", "data-high"
    return [
        tuple(float(cell[name]) if name in cell else None for name in names)
        for cell in page.tags["td"]
        if "data-value" in cell
    ]


def cells_of(leaderboard: dict) -> Numbers:
    """What `cells` gives for the leaderboard's page: overview, tables, the runs' sizes."""
    table_cells = [
        (cell.value, cell.low, cell.high)
        for table in (*overview(leaderboard), *build_tables(leaderboard, "task"))
        for _, row in table.rows
        for cell in row
        if cell is not None
    ]
    sizes = [entry["n"][key] for entry in leaderboard["entries"] for key in ("documents", "images")]
    return table_cells + [(size, None, None) for size in sizes]
