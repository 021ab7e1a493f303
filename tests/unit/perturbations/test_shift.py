import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.perturbations import perturb

from .strategies import images, laws, same

shifts = st.integers(-(10**20), 10**20)


def translate(image, dx):
    return perturb(image, "translate", dx=dx)


@laws
@given(images, shifts)
def test_translation_is_numpys_roll(image, dx):
    expected = np.roll(np.asarray(image), dx % image.width, axis=1)
    assert np.array_equal(np.asarray(translate(image, dx)), expected)


@laws
@given(images, st.integers(0, 30))
def test_padding_is_black_and_cropping_takes_it_off(image, n):
    padded = perturb(image, "pad_crop", n=n)
    expected = np.pad(np.asarray(image), ((n, n), (n, n), (0, 0)))
    assert np.array_equal(np.asarray(padded), expected)
    assert same(perturb(padded, "pad_crop", n=-n), image)


@laws
@given(images, st.integers(1, 200))
def test_crop_is_a_slice_or_raises(image, n):
    if 2 * n >= min(image.size):
        with pytest.raises(ValueError, match=f"n={-n} leaves nothing of an image of size"):
            perturb(image, "pad_crop", n=-n)
    else:
        cropped = np.asarray(perturb(image, "pad_crop", n=-n))
        assert np.array_equal(cropped, np.asarray(image)[n:-n, n:-n])
