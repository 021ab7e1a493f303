"""What the camera of the lessons does to a scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_world.camera import NOISE, SHIFT, STILL, ZOOM, Shot, draw_shot, photograph
from vlm_confidence_tasks.sandbox.render import render
from vlm_confidence_tasks.sandbox.world import Scene, Thing, evaluation_scenes

SCENE = Scene((Thing("red", "circle", 4, 24, 40),), background=240)


def centre(image: np.ndarray) -> tuple[float, float]:
    """Middle of what is not background, in pixels; pixel 0 reaches from 0 to 1."""
    rows, columns = np.nonzero(np.abs(image.astype(int) - SCENE.background).max(-1) > 40)
    return columns.mean() + 0.5, rows.mean() + 0.5


def test_a_still_scene_is_as_it_is_drawn() -> None:
    scene = next(evaluation_scenes(7, 1))
    assert np.array_equal(photograph(scene, STILL), np.asarray(render(scene)))


@pytest.mark.parametrize("dx, dy", [(5, 0), (-6, 3), (0, -4)])
def test_whole_pixels_move_the_image_and_background_comes_in(dx: int, dy: int) -> None:
    expected = np.full((64, 64, 3), SCENE.background, dtype=np.uint8)
    drawn = np.asarray(render(SCENE))
    kept = drawn[max(0, -dy) : 64 - max(0, dy), max(0, -dx) : 64 - max(0, dx)]
    expected[max(0, dy) :, max(0, dx) :][: kept.shape[0], : kept.shape[1]] = kept
    assert np.array_equal(photograph(SCENE, Shot(dx=dx, dy=dy)), expected)


@given(st.floats(-SHIFT, SHIFT), st.floats(-SHIFT, SHIFT), st.floats(1 - ZOOM, 1 + ZOOM))
def test_things_are_where_at_says_and_as_large_as_the_zoom_says(
    dx: float, dy: float, zoom: float
) -> None:
    shot = Shot(dx, dy, zoom)
    image = photograph(SCENE, shot)
    assert centre(image) == pytest.approx(shot.at(24, 40), abs=0.75)
    across = (np.abs(image.astype(int) - SCENE.background).max(-1) > 90).any(0).sum()
    assert across == pytest.approx(14 * zoom, abs=1.5)


def test_noise_has_its_deviation_and_its_seed() -> None:
    shot = replace(STILL, noise=0.03, seed=5)
    flat = Scene((), background=128)
    off = photograph(flat, shot).astype(float) - 128
    assert off.std() / 255 == pytest.approx(0.03, rel=0.03) and abs(off.mean()) < 0.5
    assert np.array_equal(photograph(flat, shot), photograph(flat, shot))
    assert not np.array_equal(photograph(flat, shot), photograph(flat, replace(shot, seed=6)))


def test_shots_fill_what_is_allowed_and_are_functions_of_the_generator() -> None:
    rng = np.random.default_rng(0)
    shots = [draw_shot(rng) for _ in range(2000)]
    for values, low, high in (
        ([s.dx for s in shots], -SHIFT, SHIFT),
        ([s.dy for s in shots], -SHIFT, SHIFT),
        ([s.zoom for s in shots], 1 - ZOOM, 1 + ZOOM),
        ([s.noise for s in shots], 0, NOISE),
    ):
        spread = high - low
        assert low <= min(values) < low + 0.01 * spread
        assert high - 0.01 * spread < max(values) <= high
    assert draw_shot(np.random.default_rng(3)) == draw_shot(np.random.default_rng(3))
