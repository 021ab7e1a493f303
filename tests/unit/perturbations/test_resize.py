import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vlm_confidence_tasks.perturbations import fit, perturb

from .strategies import flat_image, images, laws, noise_image, same

factors = st.floats(0.01, 3)


def test_bicubic():
    image = noise_image(40, 30)
    expected = image.resize((36, 27), Image.Resampling.BICUBIC)
    assert same(perturb(image, "scale", factor=0.9), expected)
    assert same(perturb(image, "scale"), expected)


@laws
@given(images, factors)
def test_sides_are_rounded_half_to_even_and_never_zero(image, factor):
    expected = tuple(max(1, round(factor * side)) for side in image.size)
    assert perturb(image, "scale", factor=factor).size == expected


@laws
@given(images, factors)
def test_restore_gives_the_size_back(image, factor):
    restored = perturb(image, "scale", factor=factor, restore=True)
    assert restored.size == image.size
    smaller = perturb(image, "scale", factor=factor)
    assert same(restored, smaller.resize(image.size, Image.Resampling.BICUBIC))


@laws
@given(images, st.floats(0.01, 1), st.sampled_from([("black", 0), ("white", 255)]))
def test_pad_is_the_scaled_image_on_a_canvas(image, factor, fill):
    padded = perturb(image, "scale_pad", factor=factor, fill=fill[0])
    scaled = perturb(image, "scale", factor=factor)
    left, upper = ((a - b) // 2 for a, b in zip(image.size, scaled.size, strict=True))
    box = (left, upper, left + scaled.width, upper + scaled.height)
    assert padded.size == image.size
    assert same(padded.crop(box), scaled)
    padded.paste((fill[1],) * 3, box)
    assert same(padded, flat_image(*image.size, fill[1]))


@pytest.mark.parametrize("factor", [0, -1, 1.01, float("nan")])
def test_a_canvas_cannot_hold_more(factor):
    with pytest.raises(ValueError, match=r"factor must be float in \[0.01, 1\]"):
        perturb(flat_image(4, 4, 0), "scale_pad", factor=factor)


@laws
@given(images, st.integers(1, 400))
def test_fit(image, side):
    fitted = fit(image, side)
    assert max(fitted.size) == min(side, max(image.size))
    assert side < max(image.size) or same(fitted, image)
    assert fitted is not image


def test_fit_keeps_the_shape():
    assert fit(flat_image(2000, 1500, 0), 1024).size == (1024, 768)
    with pytest.raises(ValueError, match="max_side must be at least 1, got 0"):
        fit(flat_image(2, 2, 0), 0)
