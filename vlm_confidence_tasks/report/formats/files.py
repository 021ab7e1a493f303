"""Writing a leaderboard and its figures into a folder."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from vlm_confidence_tasks.report.figures.drawing import draw, to_bytes
from vlm_confidence_tasks.report.figures.figure_data import Figure
from vlm_confidence_tasks.report.formats.csv import to_csv
from vlm_confidence_tasks.report.formats.html import write_pages
from vlm_confidence_tasks.report.formats.latex import to_latex
from vlm_confidence_tasks.report.formats.markdown import to_markdown
from vlm_confidence_tasks.report.leaderboard.flip_images import make_flip_images
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard
from vlm_confidence_tasks.report.leaderboard.tables import By, Table


def write_leaderboard(
    folder: Path,
    leaderboard: Leaderboard,
    tables: Sequence[Table],
    by: By,
    figures: Sequence[Figure],
    data: Path | None,
    quiet: bool,
) -> None:
    """Write `leaderboard.json` and all that is made from it."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "leaderboard.json", json.dumps(leaderboard, indent=1, allow_nan=False) + "\n")
    _write(folder / "leaderboard.md", to_markdown(leaderboard, tables))
    _write(folder / "leaderboard.csv", to_csv(tables, by))
    _write(folder / "leaderboard.tex", to_latex(tables))
    with_svg = [(figure, to_bytes(draw(figure), "svg")) for figure in _bar(figures, quiet)]
    names = [model["name"] for model in leaderboard["models"]]
    flip_images = {name: make_flip_images(leaderboard, name, data) for name in names}
    write_pages(folder, leaderboard, tables, with_svg, flip_images)


def write_figures(folder: Path, figures: Sequence[Figure], quiet: bool) -> None:
    """Write each figure as PNG and SVG, and what all of them show as `figures.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for figure in _bar(figures, quiet):
        canvas = draw(figure)
        for ending in ("png", "svg"):
            (folder / f"{figure.name}.{ending}").write_bytes(to_bytes(canvas, ending))
    shown = [asdict(figure) for figure in figures]
    _write(folder / "figures.json", json.dumps(shown, indent=1, allow_nan=False) + "\n")


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def _bar(figures: Sequence[Figure], quiet: bool) -> Iterator[Figure]:
    yield from tqdm(figures, desc="Figures", disable=quiet or not figures)
