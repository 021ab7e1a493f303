import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlm_confidence_tasks.perturbations import perturb

from .strategies import flat_image, images, laws, noise_image, same


@laws
@given(images, st.floats(-360, 360))
def test_canvas_fits(image, degrees):
    rotated = perturb(image, "rotate", degrees=degrees)
    cos, sin = (abs(f(math.radians(degrees))) for f in (math.cos, math.sin))
    width, height = image.width * cos + image.height * sin, image.width * sin + image.height * cos
    assert -1e-6 < rotated.width - width < 2
    assert -1e-6 < rotated.height - height < 2


@pytest.mark.parametrize("degrees", [0, 360, -360])
def test_a_full_turn_is_the_identity(degrees):
    image = noise_image(7, 4)
    assert same(perturb(image, "rotate", degrees=degrees), image)


def test_positive_is_counter_clockwise():
    image = noise_image(7, 4)
    turned = np.rot90(np.asarray(image))
    assert np.array_equal(np.asarray(perturb(image, "rotate", degrees=90)), turned)


def test_bicubic_on_white():
    image = flat_image(60, 40, 0)
    rotated = perturb(image, "rotate", degrees=30)
    white = (255, 255, 255)
    assert same(rotated, image.rotate(30, Image.Resampling.BICUBIC, expand=True, fillcolor=white))
    assert rotated.size == (73, 65) or rotated.size == (72, 66)
    assert rotated.getpixel((0, 0)) == white
    assert rotated.getpixel((36, 32)) == (0, 0, 0)


@pytest.mark.parametrize("degrees", [361, float("inf"), "30"])
def test_bad_angles(degrees):
    with pytest.raises(ValueError, match=r"degrees must be float in \[-360, 360\]"):
        perturb(flat_image(4, 4, 0), "rotate", degrees=degrees)
