"""What figures show is what the leaderboard holds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from matplotlib.collections import LineCollection

from vlm_confidence_tasks.report.figures.all_figures import all_figures, curves_by_entry
from vlm_confidence_tasks.report.figures.drawing import draw
from vlm_confidence_tasks.report.figures.figure_data import MOST_MODELS, Figure, Panel
from vlm_confidence_tasks.report.figures.flip_rates import flip_rates
from vlm_confidence_tasks.report.figures.representation_drift import drift
from vlm_confidence_tasks.report.figures.sweeps import SHARED, groups, sweeps, with_intervals
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs
from vlm_confidence_tasks.report.leaderboard.leaderboard import build_leaderboard, collect
from vlm_confidence_tasks.report.leaderboard.summary import SummaryOptions


@pytest.fixture(scope="module")
def made(runs: Path) -> tuple[dict, dict[str, Figure]]:
    options = SummaryOptions(workers=1, quiet=True)
    found, older = collect(find_runs([runs], Problems()), options, Problems())
    leaderboard = build_leaderboard(found, older, 20, Problems())
    figures = all_figures(leaderboard, curves_by_entry(leaderboard, found))
    return leaderboard, {figure.name: figure for figure in figures}


def number(leaderboard: dict, model: str, column: str, metric: str) -> dict:
    (entry,) = (e for e in leaderboard["entries"] if (e["model"], e["column"]) == (model, column))
    return entry["metrics"][metric]


def test_every_kind_of_figure_is_there(made: tuple) -> None:
    _, figures = made
    kinds = {name.split("_")[0] for name in figures}
    assert kinds == {
        *("entropy", "accuracy", "flips", "risk", "defense"),
        *("reliability", "recalibration", "errors", "margins", "coverage"),
    }
    assert len([name for name in figures if name.startswith("reliability")]) == 9


def test_sweeps_begin_at_the_clean_image(made: tuple) -> None:
    leaderboard, figures = made
    (panel,) = figures["entropy_pope"].panels
    for line in panel.series:
        assert list(line.x) == [0.0, 0.1, 0.3] and line.y[0] == 0
        for n, task in ((1, "pope_eps0.1"), (2, "pope_eps0.3")):
            held = number(leaderboard, line.label, task, "entropy_delta")
            drawn = (line.y[n], line.low[n], line.high[n])
            assert drawn == (held["value"], held["low"], held["high"])
    accuracy, confidence = figures["accuracy_pope"].panels
    for panel, metric in ((accuracy, "accuracy"), (confidence, "confidence")):
        for line in panel.series:
            clean = number(leaderboard, line.label, "pope_eps0.1", f"{metric}_clean")
            assert line.y[0] == clean["value"]
            assert line.y[2] == number(leaderboard, line.label, "pope_eps0.3", metric)["value"]


def test_flip_rates_by_family_with_controls(made: tuple) -> None:
    leaderboard, figures = made
    instances, documents = figures["flips_pope"].panels
    assert instances.ticks == (
        *("pope_eps0.1", "pope_eps0.3", "translation", "rotation", "textoverlay_empty"),
    )
    for panel, rate in ((instances, "ifr"), (documents, "iv")):
        for bars in panel.series:
            for family, height in zip(panel.ticks[2:], bars.y[2:], strict=True):
                held = number(leaderboard, bars.label, "pope_invariance", f"{rate}_{family}")
                assert height == held["value"]


def entry(column: str, **changes: object) -> dict:
    number = {"value": 0.5, "low": None, "high": None}
    made = {"model": "m", "column": column, "task": column, "benchmark": "pope"}
    made |= {"noise": "gaussian_noise", "epsilon": 0.1, "families": ["noise"]}
    return made | {"metrics": {"ifr_noise": number, "iv_noise": number}} | changes


def leaderboard_of(*entries: dict, **settings: object) -> dict:
    """A leaderboard of these entries, whose columns differ in nothing that `settings` lack."""
    alike = dict.fromkeys(SHARED) | settings
    columns = [{"id": e["column"]} | alike for e in entries]
    return {"columns": columns, "entries": list(entries)}


def test_tasks_share_a_figure_by_benchmark_and_setting_whatever_their_names() -> None:
    entries = [entry("pope_eps0.1"), entry("pope_fog_day"), entry("pope_invariance")]
    made = leaderboard_of(*entries, entry("popcorn", benchmark="mmmu"))
    names = [(name, [e["task"] for e in found]) for name, found in groups(made, made["entries"])]
    assert names == [
        ("pope", ["pope_eps0.1", "pope_fog_day", "pope_invariance"]),
        ("popcorn", ["popcorn"]),
    ]
    made["columns"][2]["max_side"] = 1024
    names = [(name, len(found)) for name, found in groups(made, made["entries"])]
    assert names == [("pope", 2), ("pope [2]", 1), ("popcorn", 1)]


def test_noise_of_another_kind_is_another_sweep() -> None:
    number = {"value": 0.5, "low": None, "high": None}
    entries = [
        entry(
            f"t_{kind[0]}{epsilon}", noise=kind, epsilon=epsilon, metrics={"entropy_delta": number}
        )
        for kind in ("gaussian_noise", "speckle")
        for epsilon in (0.1, 0.3)
    ]
    found = list(sweeps(leaderboard_of(*entries), {"m": 0}))
    assert [figure.name for figure in found] == ["entropy_t", "entropy_t [2]"]
    assert [list(figure.panels[0].series[0].x) for figure in found] == [[0.0, 0.1, 0.3]] * 2


def test_a_bar_is_named_by_its_task_too_where_several_tasks_show_several_families() -> None:
    number = {"value": 0.5, "low": None, "high": None}
    metrics = {f"ifr_{family}": number for family in ("noise", "blur")}
    both = {"families": ["noise", "blur"], "metrics": metrics}
    (figure,) = flip_rates(
        leaderboard_of(entry("a_b", **both), entry("a_c", **both), entry("a_d")), {"m": 0}
    )
    assert figure.panels[0].ticks == (
        *("a_b, noise", "a_c, noise", "a_d"),
        *("a_b, blur", "a_c, blur"),
    )


# What the panels of a figure are of.
ECES = {
    "reliability": ("ece_clean", "ece"),
    "recalibration": ("ece_clean", "ece_ts_clean", "ece", "ece_ts"),
}


def test_reliability_prints_the_tables_ece(made: tuple) -> None:
    leaderboard, figures = made
    shown = [(name.split("_")[0], figure) for name, figure in figures.items()]
    assert ECES.keys() <= {kind for kind, _ in shown}
    for kind, figure in (pair for pair in shown if pair[0] in ECES):
        column = figure.title.split(", ")[1].split(": ")[0]
        for panel, ece in zip(figure.panels, ECES[kind], strict=True):
            held = number(leaderboard, figure.model, column, ece)["value"]
            assert panel.text.startswith(f"ECE {held:.3f}")
            if kind == "reliability":
                floor = number(leaderboard, figure.model, column, ece.replace("ece", "ece_floor"))
                assert panel.text.endswith(f" (floor {floor['value']:.3f})")
            points, *curves = panel.series
            if kind == "reliability":
                (curve,) = curves
                assert list(curve.y) == sorted(curve.y) and list(curve.x) == sorted(set(curve.x))
            # Without ends where no bin has answers about enough images.
            assert len(points.low) == len(points.high)
            full = len(points.x)
            assert len(points.low) in ((full,) if kind == "reliability" else (0, full))
            gaps = [
                n * abs(x - y) for n, x, y in zip(points.counts, points.x, points.y, strict=True)
            ]
            assert sum(gaps) / sum(points.counts) == pytest.approx(held, abs=1e-9)


def test_sets_are_drawn_from_the_clean_ones_on() -> None:
    def numbers(epsilon: float) -> dict:
        held = {"hit_90": 0.9 - epsilon, "hit_90_clean": 0.9}
        held |= {"set_size_90": 1.5 - epsilon, "set_size_90_clean": 1.5}
        return {name: {"value": v, "low": v - 0.1, "high": None} for name, v in held.items()}

    entries = [entry(f"t_eps{e}", epsilon=e, metrics=numbers(e)) for e in (0.1, 0.3)]
    (figure,) = sweeps(leaderboard_of(*entries), {"m": 0})
    coverage, size = figure.panels
    assert figure.name == "coverage_t" and coverage.unit_y and not size.unit_y
    for panel, clean in ((coverage, 0.9), (size, 1.5)):
        (line,) = panel.series
        assert list(line.x) == [0.0, 0.1, 0.3]
        assert line.y == pytest.approx([clean, clean - 0.1, clean - 0.3])
        assert line.low == pytest.approx([y - 0.1 for y in line.y])


def test_signals_stand_over_what_they_cost(made: tuple) -> None:
    leaderboard, figures = made
    figures = [f for n, f in figures.items() if n.startswith("errors_pope_invariance")]
    assert figures
    for figure in figures:
        (panel,) = figure.panels
        shown = {series.label: series for series in panel.series}
        assert {"confidence", "entropy", "visual entropy", "pair"} <= set(shown)
        assert shown["confidence"].x == shown["entropy"].x == [1.0] < shown["visual entropy"].x
        for label, series in shown.items():
            signal = f"error_auroc_{label.replace(' ', '_')}"
            held = number(leaderboard, figure.model, "pope_invariance", signal)
            assert (series.y[0], series.low[0]) == (held["value"], held["low"])


def test_the_answers_given_are_marked_on_the_curves(made: tuple) -> None:
    leaderboard, figures = made
    for name, figure in figures.items():
        if not name.startswith("risk_coverage"):
            continue
        column = name.removeprefix("risk_coverage_")
        for panel, end in zip(figure.panels, ("_clean", ""), strict=True):
            lines = [series for series in panel.series if series.label]
            marks = [series for series in panel.series if not series.label]
            assert len(marks) == len(lines)
            for line, mark in zip(lines, marks, strict=True):
                assert mark.style == line.style
                given, risk = (
                    number(leaderboard, line.label, column, f"{m}_80{end}")["value"]
                    for m in ("answered", "risk")
                )
                assert (list(mark.x), list(mark.y)) == ([given], [risk])


def test_a_number_without_an_interval_has_no_whisker() -> None:
    points = [
        (0.0, {"value": 0.5, "low": 0.25, "high": 0.625}),
        (1.0, {"value": 0.5, "low": None, "high": None}),
    ]
    series = with_intervals("m", 0, points)
    assert series.low == [0.25, None] and series.high == [0.625, None]
    canvas = draw(Figure("f", "f", (Panel("line", "", "x", "y", (series,)),)))
    (whiskers,) = (c for c in canvas.axes[0].collections if isinstance(c, LineCollection))
    ends = [path.vertices[:, 1].tolist() for path in whiskers.get_paths() if len(path.vertices)]
    drawn = [pair for pair in ends if not any(map(math.isnan, pair))]
    assert drawn == [[0.25, 0.625]]


def test_roc_names_the_tables_auroc(made: tuple) -> None:
    leaderboard, figures = made
    (panel,) = figures["defense_pope_eps0.3"].panels
    labels = [series.label for series in panel.series if series.label]
    assert labels == [
        f"{m['name']}: AUROC "
        f"{number(leaderboard, m['name'], 'pope_eps0.3', 'defense_auroc')['value']:.3f}"
        for m in leaderboard["models"]
    ]


def test_a_model_keeps_its_style(made: tuple) -> None:
    _, figures = made
    styles: dict[str, set[int]] = {}
    for figure in figures.values():
        for panel in figure.panels if not figure.model else ():
            for series in panel.series:
                if series.label:
                    styles.setdefault(series.label.split(":")[0], set()).add(series.style)
    assert [len(numbers) for numbers in styles.values()] == [1, 1, 1]
    assert len(set.union(*styles.values())) == 3


def test_many_models_become_several_pictures(made: tuple) -> None:
    leaderboard, _ = made
    (entry,) = (
        e for e in leaderboard["entries"] if (e["model"], e["task"]) == ("org/tiny", "pope_eps0.1")
    )
    names = [f"m{n:02d}" for n in range(MOST_MODELS + 1)]
    many = leaderboard | {
        "models": [{"name": name} for name in names],
        "entries": [
            entry | {"model": name, "epsilon": epsilon} for name in names for epsilon in (0.1, 0.3)
        ],
    }
    figures = all_figures(many, {(name, "pope_eps0.1"): {} for name in names})
    sizes = {f.name: len(f.panels[0].series) for f in figures if f.name.startswith("entropy")}
    assert sizes == {"entropy_pope-part1": MOST_MODELS, "entropy_pope-part2": 1}


def test_drift_against_control() -> None:
    metrics = {
        "drift_context": {"value": 0.2, "low": 0.1, "high": 0.3},
        "drift_ratio_context": {"value": 0.5, "low": 0.4, "high": 0.6},
    }
    leaderboard = {
        "columns": [{"id": "t"}],
        "entries": [{"model": "m", "column": "t", "metrics": metrics}],
    }
    (figure,) = drift(leaderboard, {"m": 0})
    (panel,) = figure.panels
    assert panel.diagonal and panel.title == "context"
    assert (panel.series[0].x, panel.series[0].y) == ([0.4], [0.2])
