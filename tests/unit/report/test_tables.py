"""Tables: what is down and across, and what is bold."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest

from vlm_confidence_tasks.metrics import holm, metrics_for
from vlm_confidence_tasks.report.inputs.problems import ReportError
from vlm_confidence_tasks.report.leaderboard.tables import (
    HEADLINE,
    OVERVIEW,
    WORST,
    Cell,
    build_tables,
    overview,
    worst,
)


def small_board(metric: str, better: bool | None, *ranks: tuple[int, int] | None) -> dict:
    """A leaderboard of one task and metric: the ranks that each model may have."""
    return {
        "models": [{"name": f"m{n}"} for n in range(len(ranks))],
        "columns": [{"id": "t", "task": "t", "note": ""}],
        "tests": 0,
        "metrics": {
            metric: {
                "higher_is_better": better,
                "description": "what it means",
                "floor": None,
                "is_p": False,
            }
        },
        "entries": [
            {
                "model": f"m{n}",
                "column": "t",
                "metrics": {metric: {"value": 0.5, "low": None, "high": None}},
                "ranks": {metric: list(rank)} if rank else {},
            }
            for n, rank in enumerate(ranks)
        ],
    }


def test_bold_is_what_has_rank_1_and_no_other() -> None:
    board = small_board("accuracy", True, (1, 1), (1, 2), (2, 3), None)
    (table,) = build_tables(board, "task", ["accuracy"])
    assert [cell.best for _, (cell,) in table.rows] == [True, False, False, False]
    said = ["(rank 1)", "(rank 1–2)", "(rank 2–3)", ""]
    assert [cell.beside for _, (cell,) in table.rows] == said


def test_arrows_show_the_better_direction() -> None:
    for better, arrow in ((True, "↑"), (False, "↓"), (None, "")):
        leaderboard = small_board("x", better, None)
        (table,) = build_tables(leaderboard, "metric", ["x"])
        assert table.headings[0].arrow == arrow
        (table,) = build_tables(leaderboard, "task", ["x"])
        assert table.title == f"x {arrow}".strip()


def test_by_task_and_by_metric_hold_the_same_numbers(leaderboard: dict) -> None:
    cells = {}
    for by in ("task", "metric"):
        for table in build_tables(leaderboard, by):
            for model, row in table.rows:
                for heading, cell in zip(table.headings, row, strict=True):
                    names = (table.name, heading.name)
                    key = (model, *(names if by == "task" else reversed(names)))
                    assert cells.setdefault(key, cell) == cell
    metrics = [name for name in HEADLINE if name in leaderboard["metrics"]]
    held = {key: cell for key, cell in cells.items() if cell is not None}
    assert len(held) == sum(
        name in e["metrics"] for e in leaderboard["entries"] for name in metrics
    )
    for (model, metric, task), cell in held.items():
        (entry,) = (e for e in leaderboard["entries"] if (e["model"], e["column"]) == (model, task))
        assert list(cell.rank or ()) == entry["ranks"].get(metric, [])
        alone = replace(cell, rank=None, floor=None)
        assert alone == Cell(**entry["metrics"][metric])


def test_metrics_that_are_named_and_only_those(leaderboard: dict) -> None:
    tables = build_tables(leaderboard, "task", ["iv", "ece"])
    assert [table.name for table in tables] == ["iv", "ece"]
    with pytest.raises(ReportError, match="no metric 'speed'"):
        build_tables(leaderboard, "task", ["speed"])


def test_an_ece_has_its_floor_beside_it(leaderboard: dict) -> None:
    entries = {(e["model"], e["column"]): e["metrics"] for e in leaderboard["entries"]}
    shown = 0
    for by in ("task", "metric"):
        for table in build_tables(leaderboard, by, ["ece", "accuracy", "ece_clean", "smece"]):
            for model, row in table.rows:
                for heading, cell in zip(table.headings, row, strict=True):
                    metric, task = (table.name, heading.name)[:: 1 if by == "task" else -1]
                    floors = {"ece": "ece_floor", "ece_clean": "ece_floor_clean"}
                    if metric in floors:
                        assert cell.floor == entries[model, task][floors[metric]]["value"]
                        assert cell.beside.startswith(f"(floor {cell.floor:.3f})")
                        shown += 1
                    else:
                        assert cell.floor is None and "floor" not in cell.beside
    assert shown == 2 * 2 * len(entries)


def test_a_p_is_adjusted_for_all_of_the_leaderboard_whatever_is_shown(leaderboard: dict) -> None:
    """In both layouts, in tables of fewer metrics and on a model's page: hidden p count too."""
    held = {
        (entry["model"], entry["column"], name): number
        for entry in leaderboard["entries"]
        for name, number in entry["metrics"].items()
        if leaderboard["metrics"][name]["is_p"]
    }
    expected = dict(zip(held, holm([p["value"] for p in held.values()]), strict=True))
    assert {key: number["holm"] for key, number in held.items()} == expected
    # Three p of entropies and two of calibration, of three models in three tasks.
    assert leaderboard["tests"] == len(held) == 45
    one_model = leaderboard | {"models": leaderboard["models"][:1]}
    layouts = [
        (board, by, metrics)
        for board in (leaderboard, one_model)
        for by in ("task", "metric")
        for metrics in ((), ["ece_p"], list(leaderboard["metrics"]))
    ]
    for board, by, metrics in layouts:
        shown = set()
        for table in build_tables(board, by, metrics):
            for model, row in table.rows:
                for heading, cell in zip(table.headings, row, strict=True):
                    names = (table.name, heading.name)
                    key = (model, *(names if by == "metric" else reversed(names)))
                    assert (cell and cell.holm) == expected.get(key)
                    if key in expected:
                        assert cell.beside == f"(Holm {Cell(cell.holm, None, None).text})"
                        head = table.caption if by == "task" else heading.note
                        assert "adjusted (Holm) for all 45 p of this leaderboard" in head
                        shown.add(key[2])
        assert len(shown) == (5 if len(metrics) > 1 else 1)


def test_primary_outcomes_come_first() -> None:
    readme = (Path(__file__).parents[3] / "docs" / "reading-the-numbers.md").read_text()
    section = readme.split("## Primary outcomes")[1].split("\n## ")[0]
    (rows,) = (part for part in section.split("\n\n") if part.startswith("| outcome"))
    named = [
        name for row in rows.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    shown = [name for name in HEADLINE if name in named]
    assert tuple(shown) == HEADLINE[: len(shown)] and set(shown) == set(named)
    assert set(HEADLINE) <= metrics_for([]).keys()


def test_numbers_in_words() -> None:
    assert Cell(0.0, None, None).text == "0.000"
    assert Cell(-0.00051, None, None).text == "−0.001"
    assert Cell(-0.5, -0.75, 0.25).interval == "[−0.750, 0.250]"


def test_the_overview_begins_with_the_task_of_the_most_models_and_flips(leaderboard: dict) -> None:
    tables = overview(leaderboard)
    flips = {
        column["id"]: mean(
            entry["metrics"]["ifr"]["value"]
            for entry in leaderboard["entries"]
            if entry["column"] == column["id"]
        )
        for column in leaderboard["columns"]
    }
    keys = [(-len(table.rows), -flips[table.name]) for table in tables]
    assert keys == sorted(keys) and len(set(keys)) > 1
    assert [head.name for head in tables[0].headings] == [
        name for name in OVERVIEW if name in {head.name for head in tables[0].headings}
    ]
    assert {"accuracy", "ece", "ifr"} <= {head.name for head in tables[0].headings}


def test_a_models_worst_numbers_are_its_worst(leaderboard: dict) -> None:
    model = leaderboard["models"][0]["name"]
    mine = [entry for entry in leaderboard["entries"] if entry["model"] == model]
    found = {one.heading.name: one for one in worst(leaderboard, model)}
    assert {"accuracy", "ifr", "ece"} <= found.keys()
    for name, one in found.items():
        numbers = {e["column"]: e["metrics"][name]["value"] for e in mine if name in e["metrics"]}
        extreme = max if WORST[name] else min
        assert one.cell.value == extreme(numbers.values()) == numbers[one.column]
        (entry,) = (e for e in mine if e["column"] == one.column)
        clean = entry["metrics"].get(f"{name}_clean")
        assert (one.clean and one.clean.value) == (clean and clean["value"])
