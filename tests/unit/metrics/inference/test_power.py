"""The detectable effect against formulas and brute force, and how many images another takes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import stats

import power
from vlm_confidence_tasks.metrics import Interval, mean_p, rate_interval
from vlm_confidence_tasks.metrics.inference.power import Detectable, detectable

REPEATS = 400


def normal(level, error=1.0, influence=None):
    reach = error * stats.norm.isf((1 - level) / 2)
    return Interval(0.0, -reach, reach, influence)


@pytest.mark.parametrize("level, chance", [(0.95, 0.8), (0.995, 0.9)])
def test_on_many_images_it_is_the_normal_formula(level, chance):
    errors = stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(chance)
    found = detectable(partial(normal, error=0.01), 10**7, level, chance, error=0.01)
    assert found.effect == pytest.approx(0.01 * errors, rel=1e-5)
    # (z + z')^2 var / effect^2, with var of one image.
    variance = 0.01**2 * 10**7
    assert found.images_for(0.02) == pytest.approx(errors**2 * variance / 0.02**2, rel=1e-4)


@pytest.mark.parametrize(
    "influence, level, known", [(0.31, 0.95, 0), (0.3, 0.95, 1), (0.3, 0.99, 0)]
)
def test_there_is_none_without_an_interval_or_where_one_image_decides(influence, level, known):
    assert detectable(lambda _: None, 30) is None
    found = detectable(partial(normal, influence=influence), 30, level)
    assert (found is not None) == known


@pytest.mark.parametrize("images", [5, 30, 300])
def test_the_effect_that_is_shown_takes_as_many_images_and_a_smaller_one_more(images):
    for error in (None, 0.0, 0.03, 0.1):
        found = Detectable(0.3, images, error=error)
        assert found.images_for(0.3) == images
        assert found.images_for(0.1) > images >= found.images_for(3.0) >= 5
    for effect in (0.0, -0.1, np.nan):
        with pytest.raises(ValueError, match="effect must be over 0"):
            Detectable(0.3, images).images_for(effect)


def test_of_no_event_it_is_the_rule_of_three():
    at = partial(rate_interval, np.zeros(300), np.ones(300), np.arange(300))
    found = detectable(lambda level: at(level=level), 300, error=0.0)
    assert 3.7 / 300 < found.effect < 5.4 / 300
    assert found.images_for(found.effect / 10) == 3000


def test_a_sample_shows_it_by_p_in_80_percent():
    """Brute force by the package's own p, of normal numbers."""
    rng, images, found = np.random.default_rng(0), 60, []
    column, image = np.ones(images), np.arange(images)
    for _ in range(REPEATS):
        told = power.of_shape("normal", rng, images)
        effect = detectable(told.at, images).effect
        p = mean_p(rng.standard_normal(images) + effect, column, image)
        found.append(p is not None and p < 0.05)
    # 80 within 3 points, and 3 Monte-Carlo errors of 2 points.
    assert abs(100 * np.mean(found) - 80) < 3 + 6


@pytest.mark.parametrize("images", [30, 100])
@pytest.mark.parametrize("name", power.NORMAL)
def test_a_sample_shows_it_in_80_percent(name, images):
    """A short run of scripts/studies/power.py: docs/studies/power.md."""
    found, _ = power.detected(power.NORMAL[name], images, REPEATS)
    assert abs(100 * found.sides.mean() - 80) < 3 + 6


def test_brute_force_sees_an_effect_without_the_second_quantile(monkeypatch):
    """It would be seen in half of the samples."""
    monkeypatch.setattr("vlm_confidence_tasks.metrics.inference.power._doubt", lambda *_: 0.0)
    found, _ = power.detected(power.NORMAL["mean, normal"], 100, REPEATS)
    assert found.sides.mean() < 0.6


@pytest.mark.parametrize("name", ["mean, normal", "rate of 0.5, 1 to 18 questions"])
def test_as_many_images_as_another_effect_takes_show_it(name):
    found = power.asked(power.NORMAL[name], 30, REPEATS)
    assert abs(100 * found.sides.mean() - 80) < 3 + 6
