"""Markdown, CSV and LaTeX: the table's numbers, and nothing that acts."""

from __future__ import annotations

import csv
import io
import re

import pytest

from vlm_confidence_tasks.report.formats.csv import inert, to_csv
from vlm_confidence_tasks.report.formats.latex import to_latex
from vlm_confidence_tasks.report.formats.markdown import to_markdown
from vlm_confidence_tasks.report.formats.text import one_line
from vlm_confidence_tasks.report.leaderboard.tables import By, Cell, Heading, Table, build_tables

NASTY = "=evil|<script>$x_1$ & 50% #{\\}\n"
CELLS = (Cell(0.25, 0.2, 0.3, rank=(1, 1)), None)
HEADS = (Heading("pope_eps0.3", "", "a note"), Heading("ece", "↓", ""))
TABLES = [Table("accuracy", "accuracy ↑", "share of right answers", HEADS, ((NASTY, CELLS),))]
BESIDE = (Cell(0.053, 0.04, 0.07, floor=0.021), Cell(0.003, None, None, holm=0.041))
WITH_BESIDE = [
    Table("t", "t", "", (Heading("ece", "", ""), Heading("p", "", "")), (("m", BESIDE),))
]
BOARD = {
    "interval": {"level": 0.95},
    "tests": 7,
    "entries": [{"model": "m", "column": "t", "n": {"failed": 2, "documents": 3}}],
    "older": [],
    "problems": ["x.jsonl, line 3: not JSON"],
}


def test_markdown_has_the_numbers_and_the_problems() -> None:
    page = to_markdown(BOARD, TABLES)
    line = next(line for line in page.splitlines() if "evil" in line)
    assert len(re.findall(r"(?<!\\)\|", line)) == 4
    assert "**0.250** (rank 1) [0.200, 0.300]" in line
    assert "<script>" not in page
    assert "- pope\\_eps0.3: a note" in page
    assert "- m, t: 2 of 5" in page
    assert "x.jsonl, line 3: not JSON" in page


def test_csv_has_the_numbers_in_full(leaderboard: dict) -> None:
    for by, about in (("task", "metric"), ("metric", "task")):
        rows = list(csv.DictReader(io.StringIO(to_csv(build_tables(leaderboard, by), by))))
        for entry in leaderboard["entries"]:
            for name, number in entry["metrics"].items():
                row_key, key = (name, entry["column"]) if by == "task" else (entry["column"], name)
                row = [r for r in rows if (r[about], r["model"]) == (row_key, entry["model"])]
                if not row or f"{key}_low" not in row[0]:
                    continue
                assert float(row[0][key]) == number["value"]
                low = row[0][f"{key}_low"]
                assert (float(low) if low else None) == number["low"]
        assert len(rows) == sum(len(table.rows) for table in build_tables(leaderboard, by))


def test_floors_and_adjusted_p_values_stand_beside_in_every_format() -> None:
    page = to_markdown(BOARD, WITH_BESIDE)
    assert "| m | 0.053 (floor 0.021) [0.040, 0.070] | 0.003 (Holm 0.041) |" in page
    assert (
        "floor, what a perfectly calibrated model would show; beside a p the same adjusted" in page
    )
    assert "(Holm) for all 7 p of this leaderboard, shown or not." in page
    assert "Holm" not in to_markdown(BOARD | {"tests": 0}, TABLES)
    text = to_latex(WITH_BESIDE)
    assert r"m & 0.053 (floor 0.021) {\scriptsize [0.040, 0.070]} & 0.003 (Holm 0.041) \\" in text
    (row,) = csv.DictReader(io.StringIO(to_csv(WITH_BESIDE, "metric")))
    assert (row["ece"], row["ece_floor"], row["p"], row["p_holm"]) == (
        *("0.053", "0.021"),
        *("0.003", "0.041"),
    )
    assert list(row) == (
        ["task", "model", "ece", "ece_low", "ece_high", "ece_floor"]
        + ["p", "p_low", "p_high", "p_holm"]
    )


def test_ranks_stand_beside_in_every_format() -> None:
    ranked = Cell(0.25, 0.2, 0.3, rank=(1, 3))
    tables = [Table("t", "t", "", (Heading("accuracy", "", ""),), (("m", (ranked,)),))]
    assert "| m | 0.250 (rank 1–3) [0.200, 0.300] |" in to_markdown(BOARD, tables)
    assert r"m & 0.250 (rank 1--3) {\scriptsize [0.200, 0.300]} \\" in to_latex(tables)
    (row,) = csv.DictReader(io.StringIO(to_csv(tables, "metric")))
    assert (row["accuracy_rank_from"], row["accuracy_rank_to"]) == ("1", "3")


def test_a_csv_has_each_column_once(leaderboard: dict) -> None:
    tables = build_tables(leaderboard, "metric", ["ece", "ece_floor", "accuracy"])
    head, *rows = csv.reader(io.StringIO(to_csv(tables, "metric")))
    assert len(head) == len(set(head)) and head.count("ece_floor") == 1
    at = head.index("ece_floor")
    floors = {entry["metrics"]["ece_floor"]["value"] for entry in leaderboard["entries"]}
    assert {float(row[at]) for row in rows} == floors


def test_csv_holds_no_formula() -> None:
    (row,) = csv.DictReader(io.StringIO(to_csv(TABLES, "task")))
    assert row["model"].startswith("'=evil")
    assert row["ece"] == "" and row["pope_eps0.3"] == "0.25"


NAMES = (
    *("=1+1", "@SUM(1+1)", "+cmd", "-cmd", "-1+1", "\r=1+1", "\n=1+1", "\t=1", " =1", "\uff1d1+1"),
    *(
        "[1em] x",
        "*x",
        "* x",
        "a\rb",
        "a\nb",
        "a\\\\b",
        "a|b",
        "a,b",
        'a"b',
        "a & b",
        "&lt;",
        "$x$",
    ),
    *("x\0y", "\x1b[1m", "]{x}", "%", "~#^_"),
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("by", ["task", "metric"])
def test_no_name_acts_or_breaks_a_row(name: str, by: By) -> None:
    heads = (Heading(name, "", name), Heading("ece", "", ""))
    tables = [Table(name, name, name, heads, (("first", CELLS), (name, CELLS), ("last", CELLS)))]
    rows = list(csv.reader(io.StringIO(to_csv(tables, by), newline="")))
    assert len(rows) == 4 and {len(row) for row in rows} == {10}
    texts = [*rows[0], *(cell for row in rows[1:] for cell in row[:2])]
    assert not [
        text for text in texts if re.match(r"[\t\r\n]|\s*[=+@\uff1d]|\s*-(?![\d.]+$)", text)
    ]
    assert one_line(name) in rows[2][1] and rows[2][2:5] == ["0.25", "0.2", "0.3"]
    latex = to_latex(tables).splitlines()
    assert len(latex) == 15 and sum(line.endswith(r" \\") for line in latex) == 4
    assert not [line for line in latex if line.lstrip().startswith(("[", "*"))]
    assert all(char.isprintable() for line in latex for char in line)
    page = to_markdown(BOARD, tables).splitlines()
    body = [line for line in page if line.startswith("|")]
    assert len(body) == 5
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in body} == {4}


def test_numbers_are_no_formulas() -> None:
    for text in ("-1", "-1.5", "+3", "-1e-05", "llava", "a=b", "", "1-2"):
        assert inert(text) == text


def test_a_problem_does_not_begin_a_list() -> None:
    page = to_markdown(BOARD | {"problems": ["- x", "1. x", "* x", "+ x", "## x"]}, [])
    assert page.splitlines()[-5:] == [r"- \- x", r"- 1\. x", r"- \* x", r"- \+ x", r"- \#\# x"]


def test_latex_is_booktabs_and_escaped() -> None:
    text = to_latex(TABLES)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{lrr}"):
        assert rule in text
    assert r"\textbf{0.250}" in text and r"pope\_eps0.3" in text and r"$\downarrow$" in text
    assert r"=evil\textbar{}\textless{}script\textgreater{}\$x\_1\$ \& 50\% \#\{" in text
