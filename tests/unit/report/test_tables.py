"""Tables: what is down and across, and what is bold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlm_confidence_tasks.report.inputs.problems import ReportError
from vlm_confidence_tasks.report.leaderboard.tables import HEADLINE, Cell, build_tables


def small_board(metric: str, better: bool | None, *numbers: tuple | None) -> dict:
    """A leaderboard of one task and metric: (value, low, high) a model."""
    keys = ("value", "low", "high")
    return {
        "models": [{"name": f"m{n}"} for n in range(len(numbers))],
        "columns": [{"id": "t", "task": "t", "note": ""}],
        "metrics": {metric: {"higher_is_better": better, "description": "what it means"}},
        "entries": [
            {
                "model": f"m{n}",
                "column": "t",
                "metrics": {metric: dict(zip(keys, number, strict=True))} if number else {},
            }
            for n, number in enumerate(numbers)
        ],
    }


def bold(leaderboard: dict) -> list[str]:
    (table,) = build_tables(leaderboard, "task", list(leaderboard["metrics"]))
    return [model for model, (cell,) in table.rows if cell and cell.best]


@pytest.mark.parametrize(
    ("better", "numbers", "best"),
    [
        (True, [(0.5, 0.4, 0.6), (0.9, 0.8, 1.0)], ["m1"]),
        (False, [(0.5, 0.4, 0.6), (0.9, 0.8, 1.0)], ["m0"]),
        (True, [(0.5, 0.4, 0.85), (0.9, 0.8, 1.0)], []),
        (False, [(0.5, 0.4, 0.85), (0.9, 0.8, 1.0)], []),
        (None, [(0.5, 0.4, 0.6), (0.9, 0.8, 1.0)], []),
        (True, [(0.9, 0.8, 1.0)], []),
        (True, [(0.9, None, None), (0.1, None, None)], []),
        (True, [(0.9, 0.9, 0.9), (0.9, 0.9, 0.9)], []),
        # The second is the second by value; one behind it with a wide interval is not.
        (True, [(0.9, 0.8, 1.0), (0.7, 0.69, 0.71), (0.5, 0.1, 0.9)], ["m0"]),
        (True, [(0.9, 0.8, 1.0), None, (0.5, 0.4, 0.6)], ["m0"]),
    ],
)
def test_bold_is_the_best_beyond_the_seconds_interval(better, numbers, best) -> None:
    assert bold(small_board("accuracy", better, *numbers)) == best


def test_arrows_show_the_better_direction() -> None:
    for better, arrow in ((True, "↑"), (False, "↓"), (None, "")):
        leaderboard = small_board("x", better, (0.5, None, None))
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
        assert vars(replace(cell, best=False)) == entry["metrics"][metric] | {"best": False}


def test_metrics_that_are_named_and_only_those(leaderboard: dict) -> None:
    tables = build_tables(leaderboard, "task", ["iv", "ece"])
    assert [table.name for table in tables] == ["iv", "ece"]
    with pytest.raises(ReportError, match="no metric 'speed'"):
        build_tables(leaderboard, "task", ["speed"])


def test_numbers_in_words() -> None:
    assert Cell(0.0, None, None).text == "0.000"
    assert Cell(-0.00051, None, None).text == "−0.001"
    assert Cell(-0.5, -0.75, 0.25).interval == "[−0.750, 0.250]"
