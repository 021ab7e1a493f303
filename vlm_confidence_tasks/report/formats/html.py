"""The HTML pages: one for the leaderboard, one for each model and one for each table.

A page loads nothing but the figures beside it that are looked at. What models, data sets and users
wrote is escaped by the templates, and the page's own policy lets no other script run.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from vlm_confidence_tasks.report.figures.figure_data import Figure
from vlm_confidence_tasks.report.formats.markdown import failures, legend, older_run
from vlm_confidence_tasks.report.inputs.model_names import slugs
from vlm_confidence_tasks.report.inputs.problems import ReportError
from vlm_confidence_tasks.report.leaderboard.flip_images import FlipImages
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard
from vlm_confidence_tasks.report.leaderboard.tables import (
    OVERVIEW,
    Table,
    build_tables,
    heading,
    overview,
    worst,
)

try:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup
except ModuleNotFoundError as error:
    raise ReportError(
        f"package {error.name} is missing: pip install 'vlm_confidence_tasks[report]'"
    ) from error

INDEX = "index.html"
FOLDERS = MODELS, TABLES, FIGURES = "models", "tables", "figures"


def write_pages(
    folder: Path,
    leaderboard: Leaderboard,
    tables: Sequence[Table],
    figures: Sequence[Figure],
    flip_images: Mapping[str, Sequence[FlipImages]],
) -> None:
    """Write the leaderboard's page, one for each model and one for each table, into a folder.

    `flip_images` hold, for each model, its flips' images in the flips' order. The figures are
    files, `figures/<name>.svg`, which a page loads when they are looked at.
    """
    names = [model["name"] for model in leaderboard["models"]]
    models = {name: f"{MODELS}/{slug}.html" for name, slug in slugs(names).items()}
    pages = slugs([table.name for table in tables])
    own = {name: f"{TABLES}/{slug}.html" for name, slug in pages.items()}
    _write(folder / INDEX, _index(leaderboard, tables, own, figures, models))
    for name in names:
        page = _model(leaderboard, name, figures, flip_images.get(name, ()))
        _write(folder / models[name], page)
    up = {name: f"../{path}" for name, path in models.items()}
    for table in tables:
        _write(folder / own[table.name], _table(leaderboard, table, up))


def _write(file: Path, page: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")


def _index(
    leaderboard: Leaderboard,
    tables: Sequence[Table],
    pages: Mapping[str, str],
    figures: Sequence[Figure],
    links: Mapping[str, str],
) -> str:
    return render(
        "index.html.jinja",
        title="Leaderboard",
        leaderboard=leaderboard,
        overview=overview(leaderboard),
        labels=OVERVIEW,
        definitions=[heading(leaderboard, name) for name in leaderboard["metrics"]],
        tables=[(pages[table.name], table) for table in tables],
        figures=_images(figures, "", ""),
        links=links,
        legend=legend(leaderboard),
        failures=failures(leaderboard),
        older=[older_run(run) for run in leaderboard["older"]],
    )


def _table(leaderboard: Leaderboard, table: Table, links: Mapping[str, str]) -> str:
    return render(
        "table.html.jinja",
        title=table.title,
        table=table,
        explain=table.name not in leaderboard["metrics"],
        links=links,
        legend=legend(leaderboard),
    )


def _model(
    leaderboard: Leaderboard,
    name: str,
    figures: Sequence[Figure],
    flip_images: Sequence[FlipImages],
) -> str:
    (model,) = (model for model in leaderboard["models"] if model["name"] == name)
    flips = leaderboard["flips"].get(name, [])
    mine = {**leaderboard, "models": [model]}
    return render(
        "model.html.jinja",
        title=name,
        leaderboard=leaderboard,
        model=model,
        worst=worst(leaderboard, name),
        tables=build_tables(mine, "metric", list(leaderboard["metrics"])),
        figures=_images(figures, name, "../"),
        flips=list(zip(flips, flip_images or [FlipImages()] * len(flips), strict=True)),
        legend=legend(leaderboard),
    )


def _images(figures: Sequence[Figure], model: str, up: str) -> list[tuple[str, str]]:
    """Return title and file of the figures about one model, or about several."""
    return [
        (figure.title, f"{up}{FIGURES}/{figure.name}.svg")
        for figure in figures
        if figure.model == model
    ]


def render(template: str, **values: object) -> str:
    """Render a template into a page that loads nothing; all values are escaped."""
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
