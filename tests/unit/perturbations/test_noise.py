import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.perturbations import image_digest, perturb
from vlm_confidence_tasks.perturbations.seeding import generator

from .strategies import flat_image, images, laws


def difference(image, **parameters):
    noisy = perturb(image, "gaussian_noise", **parameters)
    return np.asarray(noisy).astype(int) - np.asarray(image)


@laws
@given(images, st.floats(0, 1), st.integers(0, 5))
def test_bound_is_exact(image, epsilon, seed):
    largest = int(np.abs(difference(image, epsilon=epsilon, seed=seed)).max())
    assert largest <= 255 * epsilon
    assert largest <= math.floor(255 * Fraction(epsilon) + Fraction(1, 10**12))


@pytest.mark.parametrize("k", range(1, 256))
def test_bound_is_reached(k):
    """An epsilon of k/255 allows k, not k - 1: no step is lost to rounding."""
    image = flat_image(128, 128, 0)
    assert difference(image, epsilon=k / 255).max() == k


@laws
@given(images, st.floats(0, 1), st.integers(0, 5))
def test_against_the_formula(image, epsilon, seed):
    """The same draw, clipped and rounded in integers and one value at a time."""
    rng = generator(image_digest(image), "gaussian_noise", {}, seed)
    pixels = np.asarray(image)
    n = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(255 * epsilon)
    bound = math.floor(255 * epsilon)
    delta = [min(max(round(float(value)), -bound), bound) for value in n.ravel()]
    expected = [min(max(int(x) + d, 0), 255) for x, d in zip(pixels.ravel(), delta, strict=True)]
    noisy = perturb(image, "gaussian_noise", epsilon=epsilon, seed=seed)
    assert np.asarray(noisy).ravel().tolist() == expected
