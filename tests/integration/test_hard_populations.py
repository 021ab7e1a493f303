"""What docs/studies/hard-populations.md shows is said at the numbers; its script, in small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hard_populations as study
from simulated_answers import design
from vlm_confidence_tasks.metrics import metrics_for

PAGE = Path(__file__).parents[2] / "docs" / "studies" / "hard-populations.md"
TABLE, OTHERS = [
    [line.strip("| ").split(" | ") for line in part.splitlines()]
    for part in PAGE.read_text().split("\n\n")
    if part.startswith("|")
]
HEAD, _, *ROWS = TABLE
METRICS = metrics_for(())


def holds(text: str) -> bool:
    """Whether a cell or a share is as promised, give or take two standard errors."""
    found = re.match(r"(rejects in )?([\d.]+) \(([\d.]+)\)", text)
    if found is None:
        assert text == "no interval"
        return True
    share, error = float(found[2]), float(found[3])
    return share <= 7 + 2 * error if found[1] else share >= 91 - 2 * error


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_does_not_hold_is_said_at_the_number(row: list[str]) -> None:
    title, _, *cells, wrong = row
    name = re.match("`([a-z_]+)`", title)
    metric = METRICS[name[1] if name else "ece_p"]
    if not all(map(holds, cells)) or not holds(f"rejects in {wrong}"):
        assert re.search(r"\d%", metric.record.limits), metric.name


def test_the_page_has_all_populations() -> None:
    kinds = study.GRID | study.SATURATED | study.uneven.KINDS
    assert [row[0] for row in ROWS] == [kind.title for kind in kinds.values()]
    assert len(HEAD) == 6


@pytest.mark.parametrize("row", OTHERS[2:], ids=lambda row: row[0])
def test_figures_of_now_stand_on_the_page_that_they_are_of(row: list[str]) -> None:
    linked = re.search(r"\]\(([^)#]+)", row[2])
    page = (PAGE.parent / linked[1]).read_text() if linked else study.dominated(repeats=1)
    for figure in re.findall(r"\d+\.\d \(\d+\.\d\)|1 / [\d,]+|\d+ of \d+ kinds", row[2]):
        assert figure.replace(" / ", "/") in page.replace(" / ", "/"), figure
    script = re.fullmatch(r"`(\w+\.py)`", row[3]) if len(row) > 3 else None
    assert script is None or (PAGE.parents[2] / "scripts" / "studies" / script[1]).exists()


def test_no_kind_has_an_interval_where_one_image_has_over_half_of_the_answers() -> None:
    assert study.dominated(repeats=2).startswith("0 of ")


def test_a_row_counts_what_is_shown_and_wrong() -> None:
    name = "accuracy, 1 to 200 questions an image, many on few"
    kind = study.KINDS[name]
    assert study.measured(name, kind, 30, 20) == study.measured(name, kind, 30, 20)
    title, then, *cells, wrong = study.row(name, kind, 20).strip("| ").split(" | ")
    assert title == kind.title and then == study.THEN["accuracy, "]
    assert len(cells) == 3 and re.match(r"[\d.]+ \([\d.]+\)$", wrong)


def test_a_width_stands_where_one_was_measured_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(design, "TRUTH_ANSWERS", 40_000)
    name = "temperature, saturated"
    found = study.measured(name, study.KINDS[name], 30, 5)
    assert f", {found.width:.1f} wide" in study.row(name, study.KINDS[name], 5)
