import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.perturbations import image_digest, perturb
from vlm_confidence_tasks.perturbations.seeding import generator

from .strategies import flat_image, images, laws, noise_image


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


@pytest.mark.parametrize(("epsilon", "steps"), [(0.1, 25), (0.2, 51), (0.3, 76), (0.5, 127)])
def test_bound_of_the_tasks(epsilon, steps):
    noise = difference(flat_image(64, 64, 127), epsilon=epsilon)
    assert (noise.min(), noise.max()) == (-steps, steps)


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


@pytest.mark.parametrize("epsilon", [13 / 255, 0.2])
def test_standard_deviation_before_the_bound(epsilon):
    """How much lies within t steps says what the standard deviation was."""
    noise = np.abs(difference(flat_image(256, 256, 128), epsilon=epsilon))
    for t in range(round(255 * epsilon)):
        expected = math.erf((t + 0.5) / (255 * epsilon * math.sqrt(2)))
        assert np.mean(noise <= t) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize("epsilon", [13 / 255, 0.2])
def test_standard_deviation_after_the_bound(epsilon):
    """0.718 epsilon: the variance of a standard normal clipped at 1 is 0.51606."""
    noise = difference(flat_image(256, 256, 128), epsilon=epsilon) / 255
    assert noise.std() == pytest.approx(epsilon * math.sqrt(0.51606), rel=0.01)
    assert abs(noise.mean()) < 4 * epsilon / math.sqrt(noise.size)


def test_a_sweep_over_epsilon_is_one_draw():
    image = flat_image(64, 64, 127)
    small, large = (difference(image, epsilon=epsilon) for epsilon in (0.1, 0.4))
    inside = np.abs(small) < 25
    assert np.abs(small - large / 4)[inside].max() <= 0.5 + 0.125
    assert (np.sign(small) == np.sign(large))[np.abs(small) > 1].all()


def test_seeds_and_images_give_independent_draws():
    image = flat_image(64, 64, 127)
    other = image.copy()
    other.putpixel((0, 0), (127, 127, 126))
    draws = [difference(image, epsilon=0.2, seed=seed).ravel() for seed in (0, 1)]
    draws.append(difference(other, epsilon=0.2).ravel())
    correlation = np.corrcoef(draws) - np.eye(3)
    assert np.abs(correlation).max() < 5 / math.sqrt(draws[0].size)


def test_under_one_step_nothing_changes():
    image = noise_image(20, 20)
    assert not difference(image, epsilon=0.999 / 255).any()
