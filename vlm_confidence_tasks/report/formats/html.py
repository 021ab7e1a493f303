"""The HTML pages: one for the leaderboard, one for each model.

Each page is one file that loads nothing. What models, data sets and users wrote is
escaped by the templates, and the page's own policy lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from vlm_confidence_tasks.report.figures.figure_data import Figure
from vlm_confidence_tasks.report.formats.markdown import failures, legend, older_run
from vlm_confidence_tasks.report.inputs.model_names import slugs
from vlm_confidence_tasks.report.leaderboard.flip_images import Shown
from vlm_confidence_tasks.report.leaderboard.leaderboard import Board
from vlm_confidence_tasks.report.leaderboard.tables import Table, build_tables

INDEX = "index.html"
Drawn = Sequence[tuple[Figure, bytes]]


def write_pages(
    folder: Path,
    board: Board,
    tables: Sequence[Table],
    drawn: Drawn,
    pictures: Mapping[str, Sequence[Shown]],
) -> list[Path]:
    """Write the leaderboard's page and the models' into a folder.

    Args:
        folder: Where to; models' pages go to its `models`.
        board: The leaderboard.
        tables: The tables on its page.
        drawn: All figures, with their SVG.
        pictures: For each model, its flips' pictures in the flips' order.
    """
    names = [model["name"] for model in board["models"]]
    links = {name: f"models/{slug}.html" for name, slug in slugs(names).items()}
    pages = {INDEX: _index(board, tables, drawn, links)}
    for name in names:
        pages[links[name]] = _model(board, name, drawn, pictures.get(name, ()))
    for path, text in pages.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return [folder / path for path in pages]


def _index(board: Board, tables: Sequence[Table], drawn: Drawn, links: Mapping[str, str]) -> str:
    return _render(
        "index.html.jinja",
        title="Leaderboard",
        board=board,
        tables=tables,
        figures=_images(drawn, ""),
        links=links,
        legend=legend(board),
        failures=failures(board),
        older=[older_run(run) for run in board["older"]],
    )


def _model(board: Board, name: str, drawn: Drawn, pictures: Sequence[Shown]) -> str:
    (model,) = (model for model in board["models"] if model["name"] == name)
    flips = board["flips"].get(name, [])
    mine = {**board, "models": [model]}
    return _render(
        "model.html.jinja",
        title=name,
        board=board,
        model=model,
        entries=[entry for entry in board["entries"] if entry["model"] == name],
        tables=build_tables(mine, "metric", list(board["metrics"])),
        figures=_images(drawn, name),
        flips=list(zip(flips, pictures or [Shown()] * len(flips), strict=True)),
        legend=legend(board),
    )


def _images(drawn: Drawn, model: str) -> list[tuple[str, str]]:
    """Return title and data URI of the figures about one model, or about several."""
    return [
        (figure.title, f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}")
        for figure, svg in drawn
        if figure.model == model
    ]


def _render(template: str, **values: object) -> str:
    style, script = _part("page.css"), _part("page.js")
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
            **values,
        )
    )


def _hash(text: str) -> str:
    """Return a page part's digest as a content security policy wants it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _part(name: str) -> str:
    file = resources.files("vlm_confidence_tasks.report.formats") / "templates" / name
    return file.read_text(encoding="utf-8")


def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
