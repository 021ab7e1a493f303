"""Tables as LaTeX, for the booktabs package."""

from collections.abc import Iterator, Sequence

from vlm_confidence_tasks.report.formats.text import one_line
from vlm_confidence_tasks.report.leaderboard.tables import Cell, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "−": "$-$",
    "–": "--",
    "\N{REPLACEMENT CHARACTER}": "?",
    **{sign: f"\\{sign}" for sign in "&%$#_"},
}


def to_latex(tables: Sequence[Table]) -> str:
    """Write every table as a `table` of its own, for the booktabs package."""
    head = "% Made by vlm-confidence leaderboard. Needs \\usepackage{booktabs}."
    return "\n\n".join([head, *("\n".join(_lines(table)) for table in tables)]) + "\n"


def escape(text: str) -> str:
    r"""Escape what LaTeX would act on.

    >>> escape("pope_eps0.3 & 5%")
    'pope\\_eps0.3 \\& 5\\%'
    """
    return "".join(_SPECIAL.get(sign, sign) for sign in one_line(text))


def _lines(table: Table) -> Iterator[str]:
    yield r"\begin{table}"
    yield r"\centering"
    yield rf"\caption{{{_caption(table)}}}"
    yield rf"\begin{{tabular}}{{l{'r' * len(table.headings)}}}"
    yield r"\toprule"
    yield _line(["Model", *(escape(heading.text) for heading in table.headings)])
    yield r"\midrule"
    for model, cells in table.rows:
        yield _line([escape(model), *map(_cell, cells)])
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table}"


def _caption(table: Table) -> str:
    notes = [f"{h.name}: {h.note}" for h in table.headings if h.note and not table.caption]
    about = [f"{text}." for text in (table.title, table.caption, *notes) if text]
    return escape(" ".join(about))


def _line(cells: Sequence[str]) -> str:
    row = " & ".join(cells)
    # Behind the rule or the end of the row before, these would begin an argument of it.
    guard = "{}" if row.startswith(("[", "*")) else ""
    return rf"{guard}{row} \\"


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "--"
    value = rf"\textbf{{{escape(cell.text)}}}" if cell.best else escape(cell.text)
    interval = f"{{\\scriptsize {escape(cell.interval)}}}" if cell.interval else ""
    return " ".join(part for part in (value, escape(cell.beside), interval) if part)
