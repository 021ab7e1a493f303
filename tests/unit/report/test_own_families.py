"""A family of a user's own has its flip rates in every report, as in the run's results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metrics.making import values
from report.synthetic import answers, noise, questions, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.types import Variant

AGING = Variant("aging", (("years", 3),), family="aging")
FOG = Variant("fog", (("depth", 3),), family="fog")


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path, dict[str, float]]:
    asked = questions(30)
    for n in (0, 1):
        answered = answers(asked, [FOG], seed=n)
        write_run(tmp_path / str(n), {"pope_fog": answered}, args=f"pretrained=org/m{n}")
    return tmp_path / "0", tmp_path / "1", values([document for _, document in answered])


@pytest.mark.parametrize("intervals", [["--no-intervals"], []])
def test_on_the_leaderboard(two: tuple, tmp_path: Path, intervals: list[str]) -> None:
    first, second, numbers = two
    options = [*intervals, "--workers", "1", "--quiet", "--no-figures", "--by", "metric"]
    options += ["--metrics", "accuracy,ifr_fog"]
    output = tmp_path / "board"
    cli.main(["leaderboard", str(first), str(second), "--output", str(output), *options])
    leaderboard = json.loads((output / "leaderboard.json").read_text())
    found = {
        entry["model"]: entry["metrics"]["ifr_fog"]["value"] for entry in leaderboard["entries"]
    }
    assert numbers["ifr_fog"] > 0
    assert found["org/m1"] == pytest.approx(numbers["ifr_fog"], abs=1e-12)
    assert "ifr\\_fog: share of fog images" in (output / "leaderboard.md").read_text()


def test_in_the_bar_chart_after_the_registered_ones(tmp_path: Path) -> None:
    asked = questions(30)
    runs = tmp_path / "runs"
    tasks = {"pope_fog": [FOG], "pope_aging": [AGING], "pope_eps0.3": [noise(0.3)]}
    numbers = {}
    for task, variants in tasks.items():
        answered = answers(asked, variants)
        numbers |= values([document for _, document in answered])
        write_run(runs, {task: answered}, date=f"20260101_00000{len(task) % 10}")
    output = tmp_path / "figures"
    cli.main(["figures", str(runs), "--output", str(output), "--no-intervals", "--quiet"])
    figures = json.loads((output / "figures.json").read_text())
    (figure,) = (figure for figure in figures if figure["name"] == "flips_pope")
    families = ["noise", "aging", "fog"]
    for panel, rate in zip(figure["panels"], ("ifr", "iv"), strict=True):
        (bars,) = panel["series"]
        assert panel["ticks"] == families
        assert bars["y"] == [pytest.approx(numbers[f"{rate}_{name}"]) for name in families]


def test_in_a_comparison(two: tuple, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, numbers = two
    cli.main(["compare", str(first), str(second), "--json"])
    told = json.loads(capsys.readouterr().out)
    (found,) = [one for one in told["differences"] if one["metric"] == "ifr_fog"]
    assert found["b"] == pytest.approx(numbers["ifr_fog"], abs=1e-12)
