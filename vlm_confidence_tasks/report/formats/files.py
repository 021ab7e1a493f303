"""Writing a leaderboard and its figures into a folder."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tqdm import tqdm

from vlm_confidence_tasks.report.figures.drawing import draw, to_bytes
from vlm_confidence_tasks.report.figures.figure_data import Figure
from vlm_confidence_tasks.report.formats.csv import to_csv
from vlm_confidence_tasks.report.formats.html import FIGURES, write_pages
from vlm_confidence_tasks.report.formats.latex import to_latex
from vlm_confidence_tasks.report.formats.markdown import to_markdown
from vlm_confidence_tasks.report.formats.whole import replacing
from vlm_confidence_tasks.report.leaderboard.flip_images import make_flip_images
from vlm_confidence_tasks.report.leaderboard.leaderboard import Leaderboard
from vlm_confidence_tasks.report.leaderboard.tables import By, Table
from vlm_confidence_tasks.report.processes import each

# Fewer figures than this are drawn before other processes have even started.
FEW = 16


def write_leaderboard(
    folder: Path,
    leaderboard: Leaderboard,
    tables: Sequence[Table],
    by: By,
    figures: Sequence[Figure],
    data: Path | None,
    workers: int | None,
    quiet: bool,
) -> None:
    """Write `leaderboard.json` and all that is made from it."""
    with replacing(folder) as new:
        _write(new / "leaderboard.json", json.dumps(leaderboard, indent=1, allow_nan=False) + "\n")
        _write(new / "leaderboard.md", to_markdown(leaderboard, tables))
        _write(new / "leaderboard.csv", to_csv(tables, by))
        _write(new / "leaderboard.tex", to_latex(tables))
        _draw(new / FIGURES, figures, ["svg"], workers, quiet)
        names = [model["name"] for model in leaderboard["models"]]
        flip_images = {name: make_flip_images(leaderboard, name, data) for name in names}
        write_pages(new, leaderboard, tables, figures, flip_images)


def write_figures(
    folder: Path, figures: Sequence[Figure], workers: int | None, quiet: bool
) -> None:
    """Write each figure as PNG and SVG, and what all of them show as `figures.json`."""
    with replacing(folder) as new:
        _draw(new, figures, ["png", "svg"], workers, quiet)
        shown = [asdict(figure) for figure in figures]
        _write(new / "figures.json", json.dumps(shown, indent=1, allow_nan=False) + "\n")


def _draw(
    folder: Path,
    figures: Sequence[Figure],
    endings: Sequence[str],
    workers: int | None,
    quiet: bool,
) -> None:
    """Write each figure into a folder, once for each ending, in processes of their own."""
    folder.mkdir(exist_ok=True)
    drawn = each(partial(_drawn, endings), figures, workers, FEW)
    bar = tqdm(drawn, total=len(figures), desc="Figures", disable=quiet or not figures)
    for figure, files in zip(figures, bar, strict=True):
        for ending, data in files.items():
            (folder / f"{figure.name}.{ending}").write_bytes(data)


def _drawn(endings: Sequence[str], figure: Figure) -> dict[str, bytes]:
    canvas = draw(figure)
    return {ending: to_bytes(canvas, ending) for ending in endings}


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
