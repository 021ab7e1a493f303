"""What the camera of the lessons does to a scene."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_world.camera import SHIFT, STILL, ZOOM, Shot, photograph
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


@given(st.floats(-SHIFT, SHIFT), st.floats(-SHIFT, SHIFT), st.floats(1 - ZOOM, 1 + ZOOM))
def test_things_are_where_at_says_and_as_large_as_the_zoom_says(
    dx: float, dy: float, zoom: float
) -> None:
    shot = Shot(dx, dy, zoom)
    image = photograph(SCENE, shot)
    assert centre(image) == pytest.approx(shot.at(24, 40), abs=0.75)
    across = (np.abs(image.astype(int) - SCENE.background).max(-1) > 90).any(0).sum()
    assert across == pytest.approx(14 * zoom, abs=1.5)
