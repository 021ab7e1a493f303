"""The rule: intervals against bounds, Holm on them, and what a claim makes of its parts."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats

import claims_error_rate
from vlm_confidence_tasks.harness import task_names
from vlm_confidence_tasks.metrics import Interval, holm
from vlm_confidence_tasks.report.claims.claims import ALPHA, CLAIMS, Part
from vlm_confidence_tasks.report.claims.effects import Effect
from vlm_confidence_tasks.report.claims.verdicts import decide, find, verdict

ROOT = Path(__file__).parents[3]
BOUND = 0.01
STUDIES = 80
ABOVE = Part("a part", (), lambda held: None, BOUND, below=False)
BELOW = Part("a part", (), lambda held: None, -BOUND, below=True)


@pytest.mark.parametrize(
    ("low", "high", "finding"),
    [
        (0.02, 0.05, "holds"),
        (0.005, 0.05, "undecided"),
        (-0.05, 0.05, "undecided"),
        (0.001, 0.005, "inside the smallest effect"),
        (-0.05, 0.005, "inside the smallest effect"),
        (-0.05, -0.001, "opposite"),
        (0.01, 0.05, "undecided"),
        (-0.05, 0.01, "undecided"),
    ],
)
def test_an_interval_is_held_against_bound_and_no_effect(
    low: float, high: float, finding: str
) -> None:
    assert find(ABOVE, Interval(0.0, low, high)) == finding
    assert find(BELOW, Interval(0.0, -high, -low)) == finding


def normal(estimate: float, error: float) -> Effect:
    def at(level: float) -> Interval:
        reach = error * stats.norm.ppf((1.0 + level) / 2.0)
        return Interval(estimate, estimate - reach, estimate + reach)

    return Effect(estimate, 100, 100, at)


def without(level: float) -> None:
    return None


@given(
    # Distances from the bound in standard errors, about where steps decide; and these errors.
    st.lists(st.tuples(st.floats(-4.0, 4.0), st.floats(1e-3, 0.1)), min_size=1, max_size=8),
    st.integers(0, 3),
)
@example([(2.3, 0.01), (2.1, 0.01), (0.0, 0.01)], 0)
@example([(2.6, 0.01), (-2.3, 0.01), (2.0, 0.01)], 1)
def test_parts_are_decided_as_holms_p_values_are(
    normals: list[tuple[float, float]], lacking: int
) -> None:
    p = [2 * stats.norm.sf(abs(distance)) for distance, _ in normals]
    adjusted = holm(p)
    assume(all(abs(value - ALPHA) > 1e-6 for value in adjusted))
    tests = [[(ABOVE, normal(BOUND + z * error, error))] for z, error in normals]
    none = [[(ABOVE, Effect(0.0, 3, 3, without))]] * lacking
    found = [only for (only,) in decide([*none, *tests])]
    assert all(each.interval is None and each.finding == "undecided" for each in found[:lacking])
    assert [each.finding != "undecided" for each in found[lacking:]] == [
        value < ALPHA for value in adjusted
    ]


@given(st.lists(st.lists(st.floats(-4.5, 4.5), min_size=1, max_size=4), min_size=1, max_size=5))
@example([[2.0, 2.1, 1.97]])
@example([[2.6, -2.3, 0.0], [1.0]])
def test_a_claim_is_an_intersection_union_test_and_holm_is_over_claims(
    distances: list[list[float]],
) -> None:
    """All parts hold at the level of the claim; one refutes it at that over their number."""
    supported = [max(stats.norm.sf(z) for z in parts) for parts in distances]
    refuted = [len(parts) * min(stats.norm.sf(-z) for z in parts) for parts in distances]
    p = [min(1.0, 2 * min(each)) for each in zip(supported, refuted, strict=True)]
    adjusted = holm(p)
    assume(all(abs(value - ALPHA) > 1e-6 for value in adjusted))
    claims = [[(ABOVE, normal(BOUND + 0.01 * z, 0.01)) for z in parts] for parts in distances]
    said = [verdict([each.finding for each in parts]) for parts in decide(claims)]
    assert [each == "undecided at this sample" for each in said] == [
        value > ALPHA for value in adjusted
    ]
    for each, hold, fall in zip(said, supported, refuted, strict=True):
        assert each != "supported" or hold < fall
        assert each != "refuted" or fall < hold


def test_a_part_that_is_not_measured_is_none_and_can_only_be_missed() -> None:
    ((first, second),) = decide([[(ABOVE, normal(0.5, 0.01)), (ABOVE, None)]])
    assert first.finding == "holds" and second is None


def test_a_decided_claim_keeps_the_level_at_which_it_was_decided() -> None:
    found = decide([[(ABOVE, normal(0.5, 0.01))] * 2, [(ABOVE, normal(0.01, 0.01))] * 2])
    levels = [[each.level for each in parts] for parts in found]
    assert levels == [[pytest.approx(0.975)] * 2, [pytest.approx(0.975)] * 2]
    assert [each.finding for each in found[0]] == ["holds"] * 2


@pytest.mark.parametrize(("influence", "finding"), [(0.05, "holds"), (0.31, "undecided")])
def test_an_interval_that_one_image_decides_decides_nothing(influence: float, finding: str) -> None:
    effect = Effect(0.5, 9, 9, lambda level: Interval(0.5, 0.4, 0.6, influence))
    (((found),),) = decide([[(ABOVE, effect)]])
    assert found.finding == finding
    # The further out in the tail, the less it may carry.
    many = decide([[(ABOVE, effect)], *[[(ABOVE, normal(BOUND, 0.1))]] * 999])
    assert many[0][0].finding == "undecided"


@pytest.mark.parametrize("design", claims_error_rate.DESIGNS)
@pytest.mark.parametrize(
    ("shape", "images"),
    [("normal", 80), ("lognormal, sigma 1", 80), ("measured changes", 30)],
)
def test_wrong_decisions_are_rare_where_all_effects_are_their_bounds(
    shape: str, images: int, design: str
) -> None:
    wrong = claims_error_rate.wrong_studies(shape, design, images, STUDIES)
    # Three standard errors above 5%.
    assert wrong.mean() < ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / STUDIES)


@given(st.lists(st.sampled_from(["holds", "undecided", "opposite", None]), min_size=1))
def test_a_claim_holds_if_all_parts_do_and_falls_with_any(findings: list) -> None:
    said = verdict(findings)
    assert (said == "refuted") == ("opposite" in findings)
    assert (said == "supported") == (set(findings) == {"holds"})
    assert (said == "not measured") == (None in findings and "opposite" not in findings)


def test_the_page_names_the_tasks_and_bounds_of_each_claim() -> None:
    page = (ROOT / "docs" / "claims.md").read_text()
    rows = dict(re.findall(r"^\| (\d) \| (.*)$", page, re.M))
    assert [int(number) for number in rows] == [claim.number for claim in CLAIMS]
    for claim in CLAIMS:
        row = rows[str(claim.number)]
        named = re.findall(r"`([\w.]+)`", row)
        needed = {task for part in claim.parts for task in part.tasks}
        assert {name for name in named if task_names.shipped().config(name)} == needed
        holds = row.split("|")[-3]
        for part in claim.parts:
            assert f"{'under' if part.below else 'above'} {part.bound:g}" in holds, part
