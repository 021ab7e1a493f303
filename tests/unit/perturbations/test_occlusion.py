import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.perturbations import perturb

from .strategies import flat_image, laws, sides
from .test_text import extent

AREAS = (0.05, 0.1, 0.2, 0.3, 0.4)


def covered(width, height, severity, seed=0):
    """Box that is covered of an image that is grey nowhere."""
    image = flat_image(width, height, 0)
    shown = perturb(image, "occlusion", severity=severity, seed=seed)
    box = tuple(map(int, extent(image, shown)))
    assert (np.asarray(shown.crop(box)) == 127).all()
    return box


@laws
@given(sides, sides, st.integers(1, 5), st.integers(0, 50))
def test_a_rectangle_of_the_images_shape(width, height, severity, seed):
    left, upper, right, lower = covered(width, height, severity, seed)
    side = AREAS[severity - 1] ** 0.5
    assert right - left == max(1, round(side * width))
    assert lower - upper == max(1, round(side * height))


@laws
@given(sides, sides, st.integers(0, 50))
def test_a_milder_one_lies_within_a_harsher_one(width, height, seed):
    boxes = [covered(width, height, severity, seed) for severity in range(1, 6)]
    for inner, outer in zip(boxes, boxes[1:], strict=False):
        assert outer[0] <= inner[0] and outer[1] <= inner[1]
        assert inner[2] <= outer[2] and inner[3] <= outer[3]


def test_places_are_spread_over_the_image():
    lefts = [covered(100, 100, 3, seed)[0] for seed in range(200)]
    room = 100 - round(0.2**0.5 * 100)
    assert min(lefts) < 5
    assert max(lefts) > room - 5
    assert np.mean(lefts) == pytest.approx(room / 2, abs=5)
