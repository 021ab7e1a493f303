"""The detectable effect against formulas and brute force, and how many images another takes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

import power
from vlm_confidence_tasks.metrics import Interval, mean_p, rate_interval
from vlm_confidence_tasks.metrics.inference.power import (
    Detectable,
    detectable,
    is_skewed,
    moves,
    variance_of,
)

REPEATS = 400
# 80 within 3 points, and 3 Monte-Carlo errors of 2 points.
NEAR_80 = pytest.approx(80, abs=3 + 6)


def normal(level, error=1.0, influence=None):
    reach = error * stats.norm.isf((1 - level) / 2)
    return Interval(0.0, -reach, reach, influence)


def percent(found):
    return 100 * np.nanmean(found)


@pytest.mark.parametrize("level, chance", [(0.95, 0.8), (0.995, 0.9)])
@pytest.mark.parametrize("error", [0.01, None])
def test_on_many_images_it_is_the_normal_formula(level, chance, error):
    errors = stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(chance)
    found = detectable(normal(level, 0.01), 10**7, level, chance, error)
    assert found.effect == pytest.approx(0.01 * errors, rel=1e-5)
    # (z + z')^2 var / effect^2, with var of one image.
    variance = 0.01**2 * 10**7
    assert found.images_for(0.02) == pytest.approx(errors**2 * variance / 0.02**2, rel=1e-4)


def test_it_is_the_power_of_students_test_where_the_error_is_known_well():
    """Of 400 images, from the noncentral t."""

    def power(effect: float, images: float) -> float:
        place, reach = effect * images**0.5, stats.t.isf(0.025, images - 1)
        return stats.nct.sf(reach, images - 1, place)

    reach = stats.t.isf(0.025, 399) / 20
    found = detectable(Interval(0.0, -reach, reach), 400, error=1 / 20)
    effect = optimize.brentq(lambda effect: power(effect, 400) - 0.8, 0.01, 0.3)
    assert found.effect == pytest.approx(effect, rel=0.01)
    needed = optimize.brentq(lambda images: power(0.05, images) - 0.8, 100, 10**4)
    assert found.images_for(0.05) == pytest.approx(needed, rel=0.01)


@pytest.mark.parametrize(
    "influence, level, known", [(0.31, 0.95, 0), (0.3, 0.95, 1), (0.3, 0.99, 0)]
)
def test_there_is_none_without_an_interval_or_where_one_image_decides(influence, level, known):
    assert detectable(None, 30) is None
    found = detectable(normal(level, influence=influence), 30, level)
    assert (found is not None) == known


@pytest.mark.parametrize("images", [5, 30, 300])
def test_the_effect_that_is_shown_takes_as_many_images_and_a_smaller_one_more(images):
    for error in (0.0, 0.03, 0.1, 1.0):
        found = Detectable(0.3, images, error)
        assert found.images_for(0.3) == images
        assert found.images_for(0.1) > images >= found.images_for(3.0) >= 5
    for effect in (0.0, -0.1, np.nan):
        with pytest.raises(ValueError, match="effect must be over 0"):
            Detectable(0.3, images, 0.1).images_for(effect)


def test_of_no_event_it_is_the_rule_of_three():
    found = detectable(rate_interval(np.zeros(300), np.ones(300), np.arange(300)), 300, error=0.0)
    # 1 - 0.025^(1 / 300), as good as 3.7 / 300.
    assert found.effect == pytest.approx(1 - 0.025 ** (1 / 300), rel=0.02)
    assert found.images_for(found.effect / 10) == 3000


def test_the_variance_over_groups_is_that_of_their_means():
    rng = np.random.default_rng(0)
    groups, paired = np.tile(np.repeat(np.arange(50), 4), 2), np.repeat([False, True], 200)
    numbers = rng.normal(size=400) + np.repeat(rng.normal(size=100), 4)
    one, other = numbers.reshape(2, 50, 4).mean(axis=2)
    variance = variance_of(moves(groups[:200], numbers[:200]))
    assert variance == pytest.approx(stats.sem(one) ** 2)
    difference = moves(groups, numbers, paired)
    assert variance_of(difference) == pytest.approx(stats.sem(other - one) ** 2)
    # Half of the variance is of the image: the design effect of 4 answers is 1 + 3 / 2.
    assert 2 < variance / variance_of(moves(np.arange(200), numbers[:200])) < 3
    assert variance_of(moves(groups, np.full(400, 0.1))) == 0


@pytest.mark.parametrize("images, marked", [(30, True), (3000, False)])
def test_the_mark_is_of_the_skewness_of_the_mean(images, marked):
    numbers = stats.expon.ppf((np.arange(images) + 0.5) / images)
    moved = moves(np.arange(images), numbers)
    skewness = stats.skew(numbers) / np.sqrt(images)
    assert is_skewed(moved) == marked == (skewness > 0.1)
    assert is_skewed(-moved) == marked
    assert is_skewed(moves(np.arange(9), np.zeros(9)))


def test_a_sample_shows_it_by_p_in_80_percent():
    """Brute force by the package's own p, of normal numbers."""
    rng, images, found = np.random.default_rng(0), 60, []
    column, image = np.ones(images), np.arange(images)
    for one in power.told(power.NORMAL["mean, normal"], images, REPEATS):
        p = mean_p(rng.standard_normal(images) + one.found.effect, column, image)
        found.append(p is not None and p < 0.05)
    assert 100 * np.mean(found) == NEAR_80


@pytest.mark.parametrize("images", [30, 100])
@pytest.mark.parametrize("name", power.NORMAL)
def test_a_sample_shows_it_in_80_percent(name, images):
    """A short run of scripts/studies/power.py: docs/studies/power.md."""
    design = power.NORMAL[name]
    found = power.detected(design, images, power.told(design, images, REPEATS))
    assert percent(found) == NEAR_80


def test_brute_force_sees_an_effect_without_the_second_quantile(monkeypatch):
    """It would be seen in half of the samples."""
    monkeypatch.setattr("vlm_confidence_tasks.metrics.inference.power._doubt", lambda *_: 0.0)
    design = power.NORMAL["mean, normal"]
    found = power.detected(design, 100, power.told(design, 100, REPEATS))
    assert percent(found) < 60


@pytest.mark.parametrize("name", ["mean, normal", "rate of 0.5, 1 to 18 questions"])
def test_as_many_images_as_another_effect_takes_show_it(name):
    design = power.NORMAL[name]
    found = power.asked(design, 30, power.told(design, 30, REPEATS))
    assert percent(found) == NEAR_80


def test_the_studys_page_has_a_row_for_each_design(tmp_path, monkeypatch):
    names = ("rate of 0.5, 1 to 18 questions", "rate of 0.02, 1 to 18 questions")
    names += ("rate of 0.5, 1 to 18 questions, as claims",)
    monkeypatch.setattr(power, "DESIGNS", {name: power.DESIGNS[name] for name in names})
    monkeypatch.setattr(power, "IMAGES", (30,))
    page = tmp_path / "power.md"
    monkeypatch.setattr("sys.argv", ["power.py", "--repeats", "60", "--page", str(page)])
    power.main()
    rows = [line.split(" | ") for line in page.read_text().splitlines() if " | 30 | " in line]
    assert [row[0].removeprefix("| ") for row in rows] == list(names)
    # Of a rate of 0.02 all is marked; at the level of claims no other effect is asked for.
    assert rows[1][4] == "100" and rows[2][-2:] == ["-", "- |"]
    assert {len(row) for row in rows} == {len(power.HEADS)}
